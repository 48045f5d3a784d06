"""Owns the kinds of notifier: who hears of a decision; addresses come from the environment, not the YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evertrain.numbers import VariableName


class Webhook(BaseModel):
    """A JSON POST to the address in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["webhook"]
    url_env: VariableName


class Slack(BaseModel):
    """A message to the Slack webhook in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["slack"]
    url_env: VariableName


class Email(BaseModel):
    """A mail through the server whose address stands in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["email"]
    url_env: VariableName


Notifier = Annotated[Webhook | Slack | Email, Field(discriminator="type")]
