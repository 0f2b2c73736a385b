"""The five words of the flow, each a function over ports: prepare, plan, submit, land, publish."""

from nightbatch.steps.pool import choose

choose()
