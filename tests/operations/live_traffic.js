// A little of everything, so that each metric has something to count.
import http from "k6/http";
import { check } from "k6";
import encoding from "k6/encoding";

const { BASE, EMAIL, PASSWORD, SERVICE, READER } = __ENV;
const basic = (pair) => ({ headers: { Authorization: `Basic ${encoding.b64encode(pair)}` } });
const json = { headers: { "Content-Type": "application/json" } };

export const options = {
  scenarios: { everything: { executor: "constant-vus", vus: 4, duration: "12s" } },
  thresholds: { checks: ["rate==1"] },
};

const post = (path, body) => http.post(`${BASE}${path}`, JSON.stringify(body), {
  headers: { ...json.headers, traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
});

// 503 with Retry-After is what a machine with too much to do says; the recorded failures must show it.
const answeredOrBusy = (answer) => answer.status === 200
  || (answer.status === 503 && answer.headers["Retry-After"] !== undefined);

export default function () {
  const signedIn = post("/auth/login", { email: EMAIL, password: PASSWORD });
  check(signedIn, { "signed in, or asked to wait": (answer) => answeredOrBusy(answer) });
  if (signedIn.status !== 200) return;
  const first = signedIn.json();
  const second = post("/auth/refresh", { refreshToken: first.refreshToken });
  check(second, { "refreshed, or asked to wait": (answer) => answeredOrBusy(answer) });
  if (second.status !== 200) return;
  const service = http.post(`${BASE}/oauth2/token`, { grant_type: "client_credentials" }, basic(SERVICE));
  check(service, { "served a machine": (answer) => answeredOrBusy(answer) });
  const asked = http.post(`${BASE}/oauth2/introspect`, { token: first.accessToken }, basic(READER));
  check(asked, {
    introspected: (answer) => answeredOrBusy(answer) && (answer.status === 503 || answer.json().active),
  });
  for (const path of ["jwks.json", "openid-configuration", "oauth-authorization-server"]) {
    check(http.get(`${BASE}/.well-known/${path}`), { served: (answer) => answer.status === 200 });
  }
  const out = post("/auth/logout", { refreshToken: second.json().refreshToken });
  check(out, { "signed out": (answer) => answer.status < 300 || answer.status === 503 });
  if (__ITER % 10 === 5) {
    const wrong = post("/auth/login", { email: "nobody@example.com", password: "not-this-one" });
    check(wrong, { refused: (answer) => [401, 429, 503].includes(answer.status) });
  }
}
