"""The hosted pages: what people see of this server.

    login         an e-mail address and a password in, a browser login out
    consent       what an application may do; yes or no
    account       where a person is signed in, what they have allowed; the end of both
    device        the code of a device in, what it asks for, yes or no
    device_views  how that looks
    signed_out    the end of it: where people sign out, and what they see then
    answers       error pages, forms that post themselves, logout pages: for the protocol's doors
    waiting       what a page is for: a request for authorization, a device, or the account
    devices       a browser by the name its owner knows it by
    links         where things on a page lead
    page          one page of this house: language, style, name
    languages     catalogues, and which of them a person reads
    stylesheet    the one style sheet, with the operator's colours

    templates/    what the pages say, by catalogue key; catalogues/ one file for each language;
                  static/ the style sheet before its colours

A page never decides about a request: it takes what a person says, and sends the browser back to
`/oauth2/authorize/resume`, which decides again. Each way out of it, a double click, the back
button, a second tab and an expired request too, ends in a page with one clear way on. Never
here: SQL, JSON, scripts (but the one that sends a form on).
"""
