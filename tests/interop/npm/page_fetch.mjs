// `fetch` as a page of some origin has it: asks before it sends, and reads what it may (Fetch, CORS).

const SIMPLE = ['GET', 'HEAD', 'POST']
const SAFE_HEADERS = ['accept', 'accept-language', 'content-language']
const SAFE_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']
const READABLE = ['cache-control', 'content-language', 'content-length', 'content-type', 'expires', 'last-modified', 'pragma']

/** Returns the `fetch` of pages of `origin`; `asked` is told of every request that was let through. */
export function fetchOfPage(origin, asked = () => {}) {
  return async (input, init) => {
    const request = new Request(input, init)
    const credentials = init?.credentials ?? 'same-origin'
    if (new URL(request.url).origin === origin) return fetch(request)
    await preflight(request, origin, credentials)
    request.headers.set('Origin', origin)
    const answer = await fetch(request)
    asked({ method: request.method, path: new URL(request.url).pathname, status: answer.status })
    allowed(answer, origin, credentials)
    return readable(answer)
  }
}

async function preflight(request, origin, credentials) {
  const unsafe = [...request.headers.keys()].filter((name) => !isSafe(name, request.headers.get(name)))
  if (SIMPLE.includes(request.method) && unsafe.length === 0) return
  const answer = await fetch(request.url, {
    method: 'OPTIONS',
    headers: {
      Origin: origin,
      'Access-Control-Request-Method': request.method,
      ...(unsafe.length > 0 && { 'Access-Control-Request-Headers': unsafe.sort().join(',') }),
    },
  })
  if (!answer.ok) throw new TypeError(`preflight: ${answer.status} ${request.method} ${request.url}`)
  allowed(answer, origin, credentials)
  const methods = listed(answer, 'Access-Control-Allow-Methods')
  if (!SIMPLE.includes(request.method) && !methods.includes(request.method.toLowerCase())) {
    throw new TypeError(`preflight: method ${request.method}`)
  }
  const headers = listed(answer, 'Access-Control-Allow-Headers')
  for (const name of unsafe) if (!headers.includes(name)) throw new TypeError(`preflight: header ${name}`)
}

function isSafe(name, value) {
  return SAFE_HEADERS.includes(name) || (name === 'content-type' && SAFE_TYPES.includes(value.split(';')[0]))
}

function allowed(answer, origin, credentials) {
  const to = answer.headers.get('Access-Control-Allow-Origin')
  const withCookies = credentials === 'include'
  if (to !== origin && (to !== '*' || withCookies)) throw new TypeError(`CORS: ${to}, ${answer.url}`)
  if (withCookies && answer.headers.get('Access-Control-Allow-Credentials') !== 'true') {
    throw new TypeError(`CORS: no credentials, ${answer.url}`)
  }
}

function readable(answer) {
  const exposed = [...READABLE, ...listed(answer, 'Access-Control-Expose-Headers')]
  const headers = [...answer.headers].filter(([name]) => exposed.includes(name))
  const body = [204, 205, 304].includes(answer.status) ? null : answer.body
  return new Response(body, { status: answer.status, headers })
}

function listed(answer, name) {
  return (answer.headers.get(name) ?? '').toLowerCase().split(',').map((one) => one.trim())
}
