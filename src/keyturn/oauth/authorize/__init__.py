"""GET, POST /oauth2/authorize (RFC 6749 section 4.1, OpenID Connect Core section 3.1.2).

    redirect   how an answer is put behind a redirect URI, and which of them prove nothing
    addressed  the client and its redirect URI: decided before anything else is looked at
    request_object  a request that its client has signed: what pushed requests may come as
    checks     everything else a request must be, one small function a rule, in one order
    claims     the parameter `claims` (OpenID Connect Core section 5.5)
    decision   what happens next: a person signs in, or consents, or the client gets its code
    course     a request from its first visit to its answer, over the pages in between
    answer     what goes back to the client: by redirect, or by a form that posts itself
    endpoint   the doors: a request comes in, and comes back from the pages to be decided again

Nothing is sent to an address before `addressed` has found it registered; from then on every
refusal goes to the client, as the standards want it.
"""
