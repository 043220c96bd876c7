"""A conversation with the demo's business, as Markdown: the calls of an agent that
is asked to enter a new job, with the answers shortened to what it goes on with."""

import asyncio
import json

from ways import over_http


def shown(value) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


async def call(client, name: str, arguments: dict, show):
    """Makes a call and prints it with the part of the answer that `show` picks."""
    result = await client.call_tool(name, arguments)
    content = result.structured_content
    error = content.get("error")
    print(f"```\n{name} {json.dumps(arguments, ensure_ascii=False)}\n```\n")
    print(f"```json\n{shown({'error': error} if error else show(content['data']))}\n```\n")
    return error or content["data"]


def picked(*names: str):
    """Picks these fields."""
    return lambda record: {name: record[name] for name in names}


async def main() -> None:
    async with over_http("auto") as client:
        print("> **Enter a new job for Chloe Bannister: a garden shed, about 18,400. We have")
        print("> sent the quote. And the service team is to see it too.**\n")
        print("It looks for her first.\n")
        found = await call(
            client,
            "search_contacts",
            {"query": "bannister"},
            lambda people: [picked("id", "public_id", "display_name", "email")(one) for one in people],
        )
        print("The pipelines and their stages it knows from `get_ai_instructions`:\n")
        pipelines = await call(
            client,
            "get_ai_instructions",
            {},
            lambda told: {
                "today": told["today"],
                "pipelines": [
                    {
                        "id": pipeline["id"],
                        "name": pipeline["name"],
                        "stages": {stage["name"]: stage["id"] for stage in pipeline["stages"]},
                    }
                    for pipeline in told["pipelines"]
                ],
            },
        )
        pipelines = {pipeline["name"]: pipeline for pipeline in pipelines["pipelines"]}
        sales, service = pipelines["Sales"], pipelines["Service & repairs"]
        print("It creates the opportunity. Repeated after a timeout, the call would create")
        print("no second one.\n")
        made = await call(
            client,
            "create_opportunity",
            {
                "name": "Garden shed",
                "contact_id": found[0]["id"],
                "value": 18400,
                "pipeline_id": sales["id"],
                "idempotency_key": "garden-shed-bannister",
            },
            picked("id", "public_id", "name", "status", "value", "currency"),
        )
        print("The quote is out, so it moves the card, and forgets to say in which pipeline.\n")
        stage = next(stage for stage in sales["stages"] if stage["name"] == "Proposal")
        target = {"opportunity_id": made["id"], "stage_id": stage["id"]}
        refused = await call(client, "move_opportunity", target, shown)
        assert refused["code"] == "MISSING_FIELDS", refused
        print("The error's `fix` says what is missing, and it does that.\n")
        target = {"opportunity_id": made["id"], "pipeline_id": sales["id"], "stage_id": stage["id"]}

        def card(one):
            return {
                "pipeline": one["crm_pipelines"]["name"],
                "stage": one["crm_pipeline_stages"]["name"],
                "position": one["position"],
            }

        await call(client, "move_opportunity", target, card)
        print("A second card, in the service team's pipeline, leaves the first where it is.\n")
        first = service["stages"][0]
        target = {"opportunity_id": made["id"], "pipeline_id": service["id"], "stage_id": first["id"]}
        await call(client, "add_opportunity_card", target, card)
        print("And a look at the result.\n")
        whole = await call(
            client,
            "get_opportunity",
            {"opportunity_id": made["id"], "expand": ["contact"]},
            lambda one: {
                **picked("public_id", "name", "status", "value")(one),
                "contact": one["contact"]["display_name"],
                "placements": [card(placement) for placement in one["placements"]],
            },
        )
        assert len(whole["placements"]) == 2, whole


asyncio.run(main())
