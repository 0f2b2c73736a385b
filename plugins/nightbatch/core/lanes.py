"""How many lanes of one wave Airflow can map, and how many waits a triggerer takes at once."""

from __future__ import annotations

from dataclasses import dataclass

from nightbatch.core.errors import SettingsError


@dataclass(frozen=True)
class Lanes:
    """Airflow's limits; None: there is none."""

    mapped: int | None = None
    waiting: int | None = None

    def check(self, count: int) -> tuple[str, ...]:
        """Say what a wave of so many lanes meets with. Raises SettingsError for one that cannot be mapped."""
        if self.mapped is not None and count > self.mapped:
            raise SettingsError(
                f"{count} shards are more than Airflow maps: raise [core] max_map_length ({self.mapped}) on the API "
                "server and the workers, or max_batch_requests. Nothing was claimed."
            )
        if self.waiting is None or count <= self.waiting:
            return ()
        return (
            f"{count} shards wait at once, and a triggerer takes {self.waiting}: the others are looked at when those "
            "have ended. Raise [triggerer] capacity, or start another triggerer.",
        )


ANY = Lanes()
