"""Lists and calls all tools, and reads all resources, on every way to the server.
The client checks each answer by the schema that the tool was listed with."""

import asyncio
import json

from jsonschema import Draft202012Validator
from ways import MODES, ways


async def listed(client) -> list:
    """All tools, page after page."""
    tools, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools


async def called(client, tools: dict, name: str, /, **arguments):
    """The structured answer of a tool, which must be that of its schema and the
    same as text."""
    result = await client.call_tool(name, arguments)
    content = result.structured_content
    assert json.loads(result.content[0].text) == content, name
    # By an old name it is called all the same, but not listed.
    if name in tools:
        Draft202012Validator(tools[name].output_schema).validate(content)
    assert result.is_error == ("error" in content), content
    return content


async def call_each(client, tools: dict) -> None:
    """Calls every tool without arguments: those that need some must say so."""
    for name, tool in tools.items():
        content = await called(client, tools, name)
        needed = tool.input_schema.get("required", [])
        if needed:
            assert content["error"]["code"] == "MISSING_FIELDS", content
            for argument in needed:
                assert argument in content["error"]["message"], content
        else:
            assert "error" not in content, content


async def work(client, tools: dict) -> None:
    """An opportunity from its beginning to its end."""

    async def done(name, /, **arguments):
        content = await called(client, tools, name, **arguments)
        assert "error" not in content, content
        return content["data"]

    told = await done("get_ai_instructions")
    pipeline = next(one for one in told["pipelines"] if one["is_default"])
    won = next(stage for stage in pipeline["stages"] if stage["is_won_stage"])
    made = await done("create_opportunity", name="Pergola", pipeline_id=pipeline["id"], tags=["urgent"])
    opportunity = {"opportunity_id": made["id"]}
    target = {"pipeline_id": pipeline["id"], "stage_id": won["id"]}
    card = await done("move_opportunity", **opportunity, **target)
    assert card["stage_id"] == won["id"]
    read = await done("get_deal", deal_id=made["id"], expand=["contact", "customer", "assigned_users"])
    assert read["status"] == "won"
    for name in ["list_opportunities", "list_contacts", "list_companies", "list_users", "list_api_keys"]:
        assert await done(name, limit=100), name
    assert await done("search_opportunities", query="pergola")
    assert await done("get_pipeline_summary", pipeline_id=pipeline["id"])
    both = [{"name": "One"}, {"status": "open"}]
    bulk = await done("bulk_create_opportunities", records=both)
    assert (bulk["created_count"], bulk["error_count"]) == (1, 1)
    ids = [bulk["created"][0]["id"], made["id"]]
    moved = await done("bulk_move_opportunities", ids=ids, **target)
    assert moved["moved"] == 2
    assert await done("delete_opportunity", **opportunity) is None
    gone = await called(client, tools, "get_opportunity", **opportunity)
    assert gone["error"]["code"] == "NOT_FOUND"


async def read_resources(client) -> None:
    """Every resource that is listed, and one by a template."""
    resources = (await client.list_resources()).resources
    assert len(resources) >= 3, resources
    for resource in resources:
        contents = (await client.read_resource(resource.uri)).contents
        assert contents[0].mime_type == resource.mime_type, resource
        assert contents[0].text, resource
    templates = (await client.list_resource_templates()).resource_templates
    contact = next(one for one in templates if one.name == "contact")
    found = await client.call_tool("list_contacts", {"limit": 1})
    wanted = found.structured_content["data"][0]
    uri = contact.uri_template.replace("{contact_id}", wanted["id"])
    contents = (await client.read_resource(uri)).contents
    assert json.loads(contents[0].text)["data"] == wanted


async def main() -> None:
    for mode in MODES:
        for way, connecting in ways(mode).items():
            async with connecting as client:
                tools = {tool.name: tool for tool in await listed(client)}
                for tool in tools.values():
                    Draft202012Validator.check_schema(tool.input_schema)
                    Draft202012Validator.check_schema(tool.output_schema)
                await call_each(client, tools)
                await work(client, tools)
                await read_resources(client)
                print(f"{len(tools)} tools over {way}, protocol {client.protocol_version}")


asyncio.run(main())
