// Holds the YAML documents it is given, as JSON, against the schemas of Istio's resources.

import { createRequire } from 'node:module'

const { AuthorizationPolicy, RequestAuthentication } = createRequire(import.meta.url)('@kubernetes-models/istio/security.istio.io/v1')
const kinds = { AuthorizationPolicy, RequestAuthentication }
for (const one of JSON.parse(process.argv[2])) new kinds[one.kind](one).validate()
