"""The emulator's wire: endpoints, access, uploads, streaming, and the faults of calls and streams."""
