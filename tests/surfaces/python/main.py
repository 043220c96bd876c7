"""A client of the API that openapi-python-client has made, at work.

With API_URL and API_KEY, and the client as dealwright_client on the path.
"""

import os
from uuid import uuid4

from dealwright_client import AuthenticatedClient
from dealwright_client.api.opportunities import (
    create_opportunity,
    delete_opportunity,
    list_opportunities,
    move_opportunity,
)
from dealwright_client.api.pipelines import get_pipeline, list_pipelines
from dealwright_client.models import (
    CreateOpportunityBody,
    Error,
    MoveOpportunityBody,
    OpportunityAnswer,
    OpportunityList,
    PipelineAnswer,
    PipelineList,
    PlacementAnswer,
    Status,
)
from dealwright_client.types import UNSET


def expect(kind, answer):
    """The answer, which is of that kind or nothing goes on."""
    assert isinstance(answer, kind), answer
    return answer


def won_stage(client):
    for pipeline in expect(PipelineList, list_pipelines.sync(client=client)).data:
        answer = expect(PipelineAnswer, get_pipeline.sync(pipeline.id, client=client))
        for stage in answer.data.stages or []:
            if stage.is_won_stage:
                return stage
    raise AssertionError("no stage wins")


def create(client, name):
    body = CreateOpportunityBody(name=name, value=17470, tags=["typed"])
    answer = create_opportunity.sync(client=client, body=body, idempotency_key=str(uuid4()))
    opportunity = expect(OpportunityAnswer, answer).data
    assert opportunity.status is Status.OPEN
    assert [tag.name for tag in opportunity.tags] == ["typed"]
    return opportunity


def listed(client, search):
    cursor = UNSET
    while cursor is not None:
        answer = list_opportunities.sync(client=client, search=search, limit=2, cursor=cursor)
        page = expect(OpportunityList, answer)
        yield from page.data
        cursor = page.pagination.next_cursor


def main():
    with AuthenticatedClient(f"{os.environ['API_URL']}/v1", token=os.environ["API_KEY"]) as client:
        stage = won_stage(client)
        names = [f"Python {name}" for name in ("one", "two", "three", "four", "five")]
        made = [create(client, name) for name in names]
        first = made[0]

        body = MoveOpportunityBody(pipeline_id=stage.pipeline_id, stage_id=stage.id)
        answer = move_opportunity.sync(first.id, client=client, body=body)
        card = expect(PlacementAnswer, answer).data
        assert (card.deal_id, card.crm_pipeline_stages.is_won_stage) == (first.id, True)

        found = list(listed(client, "python"))
        assert [one.name for one in found] == names[::-1]
        assert all((one.status is Status.WON) == (one.id == first.id) for one in found)

        # An error has the same form whatever the operation.
        refused = create_opportunity.sync(client=client, body=CreateOpportunityBody(name=" "))
        error = expect(Error, refused).error
        assert (error.code, error.status) == ("MISSING_FIELDS", 400)

        for one in made:
            assert delete_opportunity.sync_detailed(one.id, client=client).status_code == 204
    print(f"python: {len(made)} opportunities created, listed by pages and deleted, one moved")


if __name__ == "__main__":
    main()
