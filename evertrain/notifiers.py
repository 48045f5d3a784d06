"""Owns the kinds of notifier: who hears of a decision. Addresses come from the environment, never the YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Webhook(BaseModel):
    """A JSON POST to the address in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["webhook"]
    url_env: str = Field(min_length=1)


class Slack(BaseModel):
    """A message to the Slack webhook in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["slack"]
    url_env: str = Field(min_length=1)


class Email(BaseModel):
    """A mail through the server whose address stands in the environment variable ``url_env``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["email"]
    url_env: str = Field(min_length=1)


Notifier = Annotated[Webhook | Slack | Email, Field(discriminator="type")]
