// Holds custom resources against the schemas their operators publish: a list of them as JSON on
// stdin, one list of complaints for each on stdout.
import * as gateway from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import * as prometheus from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const KINDS = { "gateway.networking.k8s.io/v1": gateway, "monitoring.coreos.com/v1": prometheus };

// The published schemas let unknown members pass, and an API server drops them without a word. What
// no rule of the schema ever read is unknown.
function watched(value, path, unread) {
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => {
    unread.add(`${path}/${name}`);
    return [name, watched(member, `${path}/${name}`, unread)];
  });
  const copy = Array.isArray(value) ? members.map(([, one]) => one) : Object.fromEntries(members);
  return new Proxy(copy, {
    get(target, name) {
      unread.delete(`${path}/${String(name)}`);
      return target[name];
    },
  });
}

function complaints(resource) {
  const Kind = KINDS[resource.apiVersion]?.[resource.kind];
  if (!Kind) return [`${resource.apiVersion} ${resource.kind}: no schema`];
  const unread = new Set();
  const model = new Kind(resource); // copies what it is given, and so reads all of it
  model.spec = watched(resource.spec, "/spec", unread);
  try {
    model.validate();
  } catch (error) {
    if (!error.errors) throw error;
    return error.errors.map((one) => `${one.instancePath} ${one.message}`);
  }
  return [...unread].map((one) => `${one} is unknown`);
}

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
console.log(JSON.stringify(JSON.parse(chunks.join("")).map(complaints)));
