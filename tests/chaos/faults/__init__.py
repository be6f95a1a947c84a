"""Every fault that can be injected here, by its id. Those of one family share a file."""

from chaos.faults import (
    clients,
    clocks,
    crowded_postgres,
    deployments,
    lost_answers,
    postgres,
    promotion,
    redis,
    replicas,
)
from chaos.faults.fault import Fault

FAULTS: dict[str, Fault] = {
    fault.id: fault
    for family in (
        postgres,
        promotion,
        lost_answers,
        crowded_postgres,
        redis,
        replicas,
        clocks,
        deployments,
        clients,
    )
    for fault in family.FAMILY
}
