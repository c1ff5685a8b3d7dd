"""The version of the service, as `GET /`, the OpenAPI document and the command line tell it."""

VERSION = "0.1.0"
