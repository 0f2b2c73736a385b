"""The prompts of rows: rendered of those that can be read; the others have a problem instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.unreadable import unreadable_rows
from nightbatch.columnar.utf8 import repaired
from nightbatch.errors import SourceError
from nightbatch.template.media import Piece
from nightbatch.template.template import Template

T = TypeVar("T")
CutPrompt = list[str | Piece]
"""A prompt as texts, images and documents in turn."""
Problems = dict[int, str]
"""Why rows have no request, by the place of the row."""

UNREADABLE = (
    "column {name!r} holds, inside a list or object, a date or time beyond the years 1 to 9999"
    " or a duration of more than 999,999,999 days"
)


@dataclass(frozen=True)
class RowPrompts:
    """The prompts of some rows."""

    template: Template
    rows: pa.RecordBatch

    @cached_property
    def unreadable(self) -> Problems:
        """Return the places of rows of which no prompt can be made, each with the problem."""
        names_by_place = unreadable_rows(self.rows, self.template.columns)
        problems = Problems()
        for place, name in names_by_place.items():
            problems[place] = UNREADABLE.format(name=name)
        return problems

    def texts(self) -> pa.Array:
        """Render one prompt for each row; an empty one for those that cannot be read."""
        prompts = self._rendered(self.template.render)
        if not self.unreadable:
            return prompts
        is_readable = self._is_readable
        prompt_numbers = np.cumsum(is_readable) - 1
        prompt_places = pc.if_else(is_readable, prompt_numbers, None)
        row_prompts = prompts.take(prompt_places)
        return pc.fill_null(row_prompts, "")

    def cuts(self) -> list[CutPrompt]:
        """Render one prompt for each row, in parts; one without parts for those that cannot be read."""
        prompts = self._rendered(self.template.cut)
        if not self.unreadable:
            return prompts
        return list(self._with_empty_prompts(prompts))

    def _with_empty_prompts(self, prompts: Iterable[CutPrompt]) -> Iterator[CutPrompt]:
        """Put a prompt without parts where a row cannot be read."""
        readable_prompts = iter(prompts)
        for place in range(self.rows.num_rows):
            if place in self.unreadable:
                yield []
            else:
                yield next(readable_prompts)

    @property
    def _is_readable(self) -> pa.Array:
        places = range(self.rows.num_rows)
        return pa.array([place not in self.unreadable for place in places])

    @property
    def _readable_rows(self) -> pa.RecordBatch:
        if not self.unreadable:
            return self.rows
        return self.rows.filter(self._is_readable)

    def _rendered(self, render: Callable[[pa.RecordBatch], T]) -> T:
        """Render the readable rows; repair text that is not valid UTF-8 where that is possible."""
        rows = self._readable_rows
        try:
            return render(rows)
        except UnicodeError:
            pass
        try:
            return render(repaired(rows))
        except UnicodeError:
            pass
        column_names = ", ".join(self.template.columns)
        raise SourceError(
            f"prompt ({column_names}): text inside a list, struct or map is not valid UTF-8: fix it in the source."
        )
