"""The version of the service, for `GET /`, the OpenAPI document and the command line."""

VERSION = "0.1.0"
