"""The ways to the server: over HTTP, and over a pipe to the program, which works
on the data itself or through the server."""

import os
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ["API_URL"]
KEY = os.environ["API_KEY"]
PROGRAM = os.environ["DEALWRIGHT"]
DATA = os.environ["DEALWRIGHT_DATA_DIR"]

# Asks first what the server speaks; or begins with the handshake of older versions.
MODES = ["auto", "legacy"]


@asynccontextmanager
async def over_http(mode: str):
    """A client that sends its messages to the server."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{URL}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@asynccontextmanager
async def over_pipe(mode: str, *options: str):
    """A client that starts the program with these options."""
    server = StdioServerParameters(command=PROGRAM, args=["mcp", *options])
    with open("program.log", "a") as log:
        async with Client(stdio_client(server, log), mode=mode) as client:
            yield client


def ways(mode: str):
    """Every way, by its name."""
    return {
        "HTTP": over_http(mode),
        "a pipe to the data": over_pipe(mode, "--data-dir", DATA),
        "a pipe through the server": over_pipe(mode, "--url", URL, "--key", KEY),
    }
