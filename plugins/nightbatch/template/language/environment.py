"""Jinja in a sandbox, in which a template reads values and reaches nothing else: no loader, no clock, no escaping."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Namespace

from nightbatch.template.language import filters
from nightbatch.template.language.printing import display
from nightbatch.template.values import Fields, Moment

FUNCTIONS = frozenset({"range", "dict", "namespace", "cycler", "joiner"})
MOST_TOKENS = 100_000
LARGEST_POWER_BITS = 100_000
_TEXT_METHODS = (
    "capitalize casefold center count endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit"
    " isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition removeprefix"
    " removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title"
    " upper zfill"
)
_NUMBER_METHODS = (
    "as_integer_ratio bit_count bit_length denominator imag is_integer numerator real"
)
_LOOP_ATTRIBUTES = "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0"
_ATTRIBUTES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((str,), _TEXT_METHODS),
    ((bytes,), f"{_TEXT_METHODS} decode hex"),
    ((int, float), _NUMBER_METHODS),
    ((dict,), "get items keys values"),
    ((list, range), "count index"),
    ((tuple,), "count index grouper list year week weekday"),
    ((LoopContext,), _LOOP_ATTRIBUTES),
    ((Cycler,), "current next reset"),
    ((Macro,), "arguments catch_kwargs catch_varargs caller name"),
)
_ALLOWED = [(kinds, frozenset(names.split())) for kinds, names in _ATTRIBUTES]
"""What a template may use of a value beside the fields of a struct, by the value's type. Nothing of other types."""


class Method:
    """A method of a value, which a template calls. It has a name and no address."""

    __slots__ = ("_method",)

    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._method(*args, **named)


class Language(ImmutableSandboxedEnvironment):
    """Jinja's environment for one template at a time."""

    intercepted_binops = frozenset({"%", "**"})
    compare = staticmethod(filters.compare)
    join_texts = staticmethod(lambda values: "".join(map(display, values)))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=display,
            autoescape=False,
            keep_trailing_newline=True,
            optimized=False,
            cache_size=0,
        )
        self.filters.update(filters.filters())
        self.tests.update(filters.tests())
        self.policies["json.dumps_function"] = filters.json_text
        self.globals = {
            name: function
            for name, function in self.globals.items()
            if name in FUNCTIONS
        }

    def _tokenize(
        self,
        source: str,
        name: str | None,
        filename: str | None = None,
        state: str | None = None,
    ) -> TokenStream:
        """Split a template into tokens that have their offset in the place of their line."""
        tokens = self.lexer.tokeniter(source, name, filename, state)
        placed_tokens = _placed(tokens, source)
        return TokenStream(self.lexer.wrap(placed_tokens, name), name, filename)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Tell whether a template may use an attribute or a method of a value."""
        if attr.startswith("_"):
            return False
        if isinstance(obj, Namespace | Moment):
            return True
        for kinds, names in _ALLOWED:
            if isinstance(obj, kinds):
                return attr in names
        return False

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `obj.attribute`; of a struct, its field sooner than its method."""
        if isinstance(obj, Fields) and attribute in obj:
            return obj[attribute]
        return _callable(super().getattr(obj, attribute))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return `obj[argument]`."""
        return _callable(super().getitem(obj, argument))

    def wrap_str_format(self, value: Any) -> Any:
        """Return a safe function in the place of a text's `format` or `format_map`; None for any other value."""
        safe_format = super().wrap_str_format(value)
        if safe_format is None or type(value.__self__) is not str:
            return safe_format  # a text that is marked as safe escapes what it formats
        text = value.__self__
        formatter = _PromptFormatter(self)
        if value.__name__ == "format_map":
            return Method(lambda fields: formatter.vformat(text, (), fields))
        return Method(lambda *args, **named: formatter.vformat(text, args, named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute `%`, which may format, and `**`, whose result has a limit."""
        if operator == "%" and isinstance(left, str):
            return left % filters.shown(right)
        if operator == "**" and _power_bits(left, right) > LARGEST_POWER_BITS:
            raise OverflowError
        return super().call_binop(context, operator, left, right)

    def handle_exception(self, source: str | None = None) -> Any:
        """Raise the error that is being handled, as it is."""
        raise  # noqa: PLE0704


class _PromptFormatter(SandboxedFormatter):
    """Formats `'{}'.format(value)`: without a form of its own, a value is shown as a prompt shows it."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if not format_spec:
            return display(value)
        text: str = Formatter.format_field(
            self, "" if value is None else value, format_spec
        )
        return text

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion is None:
            return value
        text = display(value)
        has_quotes = conversion in ("r", "a") and isinstance(value, str)
        return Formatter.convert_field(self, text, conversion) if has_quotes else text


def _power_bits(base: Any, exponent: Any) -> int:
    """Return about how many bits a power of whole numbers has; 0 for other numbers, whose powers have a limit."""
    are_whole = isinstance(base, int) and isinstance(exponent, int)
    return base.bit_length() * exponent if are_whole else 0


def _callable(value: Any) -> Any:
    is_method = isinstance(value, BuiltinMethodType | MethodType)
    return Method(value) if is_method else value


def _placed(
    tokens: Iterator[tuple[int, str, str]], source: str
) -> Iterator[tuple[int, str, str]]:
    """Put the offset of each token into the place of its line, and that of an error too."""
    position = 0
    for _ in range(MOST_TOKENS):
        try:
            _, kind, text = next(tokens)
        except StopIteration:
            return
        except TemplateSyntaxError as error:
            error.lineno = position
            raise
        start = source.find(text, position)
        position = start + len(text)
        yield start, kind, text
    raise TemplateSyntaxError(f"there are more than {MOST_TOKENS:,} words", position)
