"""Owns every error that evertrain raises on purpose, and the exit code that each one means."""

from __future__ import annotations

from typing import Any, ClassVar

TEXT_LIMIT = 4000


class EvertrainError(Exception):
    """Something failed on a named thing; the message says what was expected and what to do.

    Args:
        message: What failed, on which thing, what was expected, what to do. Cut at 4,000 characters.
        attributes: Facts for programs; they survive pickling.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **attributes: Any) -> None:
        if len(message) > TEXT_LIMIT:
            message = message[: TEXT_LIMIT - 1] + "…"
        super().__init__(message)
        self.message = message
        self.attributes = attributes

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.attributes))


def _rebuild(kind: type[EvertrainError], message: str, attributes: dict[str, Any]) -> EvertrainError:
    return kind(message, **attributes)


class Transient:
    """Marks an error that may go away by itself: retried if and only if it bears this mark."""


class ConfigError(EvertrainError):
    """The pipeline's YAML, an option or a setting is wrong; found before any work."""

    exit_code = 2


class SourceError(EvertrainError):
    """The data can't be had: no file, unreadable, empty, a named column missing."""

    exit_code = 3


class DataRefused(EvertrainError):
    """The data was read and refused: failed expectations, a constant target, no rows in a window."""

    exit_code = 3


class TrainingError(EvertrainError):
    """The estimator failed to fit, or what it learnt can't be packaged."""

    exit_code = 4


class StorageError(EvertrainError):
    """The object store can't do what was asked of it."""

    exit_code = 5


class StorageUnavailable(StorageError, Transient):
    """The object store didn't answer in time, or is busy."""


class RegistryError(EvertrainError):
    """The model registry can't do what was asked of it."""

    exit_code = 5


class RegistryUnavailable(RegistryError, Transient):
    """The model registry didn't answer in time, or its database is busy."""


class ServiceError(EvertrainError):
    """A service that the command needs (a Prefect server, a port) can't be had."""

    exit_code = 5


class DatabaseUnavailable(ServiceError):
    """The database that a source names doesn't answer, after all tries."""


class Conflict(EvertrainError):
    """Someone else moved first: the claim, the number or the version is taken."""

    exit_code = 11


class JournalTampered(EvertrainError):
    """The journal's chain doesn't hold: an entry was changed, removed, inserted or cut off."""

    exit_code = 12


class BundleRefused(EvertrainError):
    """A bundle's bytes don't match its digest, or it holds something that is not served."""

    exit_code = 5


class InvalidInput(EvertrainError):
    """A row to score is wrong; ``field`` names the column. The service answers 422.

    Args:
        message: What was expected and what was found.
        field: The column, or the part of the request, that is wrong.
    """

    exit_code = 3

    def __init__(self, message: str, *, field: str, **attributes: Any) -> None:
        super().__init__(message, field=field, **attributes)
        self.field = field


class ModelNotReady(EvertrainError):
    """The service has no verified, warmed model yet; it answers 503."""

    exit_code = 5


class ModelFailed(EvertrainError):
    """A model raised while it answered, or gave a number that isn't finite; the service answers 500."""

    exit_code = 4
