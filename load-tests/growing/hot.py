"""Which statements are hot, and an example of what each is given.

Hot is what a request of an application, a browser or an API runs, and what jobs run. `COLD` is the
rest: every named query of the product stands in one of the two, which a guard compares.
"""

from collections.abc import Mapping

SESSIONS = {
    "rotate": "{sid}, {token}, '{{orders.read}}', '{{https://api.benchmark.example}}',"
    " '{{https://api.benchmark.example}}', null, '10 s', {other}, {child}",
    "keep": "{sid}, {token}, '{{orders.read}}', '{{https://api.benchmark.example}}',"
    " '{{https://api.benchmark.example}}', null",
    "read": "{sid}",
    "heal": "{sid}, {generation}, {child}, {other}",
    "end_for_reuse": "{sid}, {generation}, {token}",
    "end_one": "{sid}, 'logout'",
    "end_one_of_user": "{sid}, {user}, 'logout'",
    "end_all_of_user": "{user}, 'logout_all', {sid}",
    "end_all_of_login": "{user}, {login}, 'logout'",
    "end_all_of_other_logins": "{user}, {login}, 'logout_all'",
    "end_all_at_client": "{user}, 'benchmark', 'withdrawn'",
    "end_some_of_client": "{live}, 1000, 'admin', 'benchmark'",
    "end_some_before": "{live}, 1000, 'admin', now()",
    "lock_active_user": "{user}, now()",
    "lock_live_login": "{login}, {login_user}",
    "start": "{new}, {user}, 'benchmark', '{{orders.read}}', '{{https://api.benchmark.example}}',"
    " null, {token}, {child}, '7 days', '7 days', false, now(), '{{pwd}}', 'EXPLAIN', '10.0.0.5',"
    " null, false, null",
    "note_step_up": "{sid}, '10 minutes'",
    "lock_for_step_up": "{sid}",
    "settle_step_up": "{sid}",
    "end_replaced_by_step_up": "{sid}, {user}, 'benchmark', {login}, now(), false",
    "due_step_ups": "100",
    "forget_step_up": "{sid}",
    "end_overflow": "{user}, 100",
    "list_of_user": "{user}",
    "describe": "{sid}",
    "page_of_user": "{user}, {zero}, null, 50",
    "range_after": "{live}, 5000",
    "page_in_range": "{live}, {sid}, 'benchmark', 50",
    "reauthenticate": "{sid}, now(), '{{pwd}}'",
    "purge_expired": "{zero}, {live}, 1000",
}
REVOCATIONS = {
    "write": "'sid', array[{sid}::text], '65 minutes'",
    "look_up": "{sid}, {user}",
    "horizon": "'65 minutes'",
    "since": "(extract(epoch from now() - interval '30 s') * 1000000)::float8, 'sid', '', 1000",
    "purge_expired": "'50 minutes', 1000",
}
AUTHORIZATIONS = {
    "moment": "",
    "request_progress": "{request}, null",
    "prove_request": "{request}, {login}, '10 minutes'",
    "answer_request": "{request}, 'agreed', '10 minutes'",
    "finish_request": "array[{request}], '10 minutes'",
    "purge_requests": "1000",
    "issue_code": "{other}, 'client-1', 'https://app.example/', null, null, {user}, {login},"
    " '{{openid}}', '{{https://api.benchmark.example}}', '{{}}', now(), '{{pwd}}', false, null,"
    " null, '1 minute', false, null",
    "read_code": "{code}",
    "consume_code": "{code}",
    "suspect_code": "{code}",
    "link_code": "{code}, {sid}",
    "session_of_code": "{code}",
    "void_codes": "{code_user}, 'client-1'",
    "purge_codes": "'12 hours', 1000",
    "consent": "{user}, 'partner-portal'",
    "grant_consent": "{user}, 'partner-portal', '{{openid}}'",
    "withdraw_consent": "{user}, 'partner-portal'",
    "list_consents": "{user}",
    "hold_account": "{user}, now()",
    "hold_login": "{login}, {login_user}",
    "issue_device_code": "{other}, array[{child}], 'demo-tv', '{{openid}}', '{{}}', null, null,"
    " '5 s', '10 minutes'",
    "poll_device_code": "{device}, 'demo-tv', 0.9, '5 s'",
    "read_device_code": "{device}",
    "consume_device_code": "{device}",
    "find_user_code": "array[{typed}], {user}",
    "approve_user_code": "array[{typed}], {user}, now(), '{{pwd}}'",
    "deny_user_code": "array[{typed}], {user}",
    "void_device_codes": "{user}, 'demo-tv'",
    "purge_device_codes": "'10 s', 1000",
}
LOGINS = {
    "lock_active_user": "{login_user}, now()",
    "start": "{new}, {user}, {other}, now(), '{{pwd}}', false, '4 hours', '12 hours', null, null",
    "find": "{value}, '1 minute'",
    "slide": "{login}",
    "prove_again": "{login}, {login_user}, {other}, now(), '{{pwd}}'",
    "end_one": "{login}, 'logout'",
    "end_all_of_user": "{login_user}, 'logout_all', null",
    "lock_live": "{login}, {login_user}",
    "purge_expired": "1000",
}
USERS = {
    "by_id": "{user}",
    "by_email": "{email}",
    "credential_by_email": "{email}",
    "credential_by_id": "{user}",
    "confirm": "{user}, 'a hash', 'epoch'",
    "rehash": "{user}, 'a hash', 'another'",
    "lock": "{user}, null",
    "change_password": "{user}, 'another', {sid}",
    "set_password": "{user}, 'another'",
    "invalidate": "{user}",
    "void_approvals": "{user}",
}
AROUND = {
    "clients.moment": "",
    "clients.changed_since": "now() - interval '5 minutes', '', 1000",
    "keys.list": "",
    "replays.use": "{other}, now()",
    "replays.purge": "1000",
    "creations.purge": "1000",
    "status_lists.reach": "",
    "status_lists.indices": "array[{sid}::text, {new}::text]",
    "logouts.write": "array[{sid}]::uuid[]",
    "logouts.claim": "'{{}}', 16, '{{10 s}}', '1 day'",
    "logouts.finish": "{sid}",
    "logouts.measure": "1000",
    "registrations.note_first_use": "'client-1'",
    "registrations.end_unused": "'30 days', 100",
    "census.pages": "",
    "census.sessions": "0.1",
    "census.expired": "1000, '50 minutes', '12 hours', '10 s'",
    "leadership.apply": "'purge'",
    "leadership.confirm": "",
    "leadership.leave": "'purge'",
    "probe.ping": "",
    "session.takes_writes": "",
    "audit.clock": "",
    "audit.write": "array[{new}], array[now()], '{{login}}', '{{success}}', array[{user}],"
    " '{{web}}', array[{sid}], '{{10.0.0.6}}', '{{r}}', array['{{}}'::jsonb], '{{server}}'",
    "audit.make_partitions": "3",
    "audit.drop_month": "'1 year'",
    "audit.delete_unsorted": "'1 year', 1000",
}
HOT: Mapping[str, str] = {
    f"{noun}.{name}": given
    for noun, queries in (
        ("sessions", SESSIONS),
        ("revocations", REVOCATIONS),
        ("authorizations", AUTHORIZATIONS),
        ("logins", LOGINS),
        ("users", USERS),
    )
    for name, given in queries.items()
} | AROUND
"""What each is given, in SQL; `{name}` is a value of a row that is there (`plans.EXAMPLES`)."""

COLD: Mapping[str, str] = {
    "doctor": "server activity standbys unwritable migrations clients expired audit logouts",
    "schema": "has_migrations applied_version",
    "users": "add page_by_id page change disable enable erase import_batch import_taken",
    "clients": "lock_writes find page insert redefine rotate_secret drop_previous_secret declare"
    " disable enable announce",
    "keys": "lock add retire promote reseal remove announce",
    "creations": "note recall",
    "audit": "allow_deletion plan_for_values page newest since",
    "registrations": "usable_token standing register managed replace_details finish add_token"
    " find_token page_of_tokens revoke_token",
}
"""What operators, the doctor, migrations and self-registration run, by file."""
