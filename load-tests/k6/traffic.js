// What is asked and how an answer is judged. Every scenario takes its requests from here, and its
// thresholds are the SLOs of slo.json (or of the file that SLO names): the share of good events.
import http from 'k6/http';
import encoding from 'k6/encoding';
import exec from 'k6/execution';
import { SharedArray } from 'k6/data';
import { Counter, Rate } from 'k6/metrics';

const slo = JSON.parse(open(__ENV.SLO));
const base = __ENV.BASE_URL;
const vus = Number(__ENV.VUS);
export const rate = Number(__ENV.RATE);
export const seconds = Number(__ENV.SECONDS);

// One copy for all virtual users. The last tokens are spent in setup, for access tokens.
const [seeded] = new SharedArray('seeded', () => [JSON.parse(open(__ENV.SEEDED))].map(
  ({ tokens, ...rest }) => rest));
const tokens = new SharedArray('tokens', () => JSON.parse(open(__ENV.SEEDED)).tokens);
const RESERVED = 20;
// More than any scenario has virtual users: they are numbered through all parts of a scenario.
const SHARES = vus * 6;

const sli = Object.fromEntries(Object.keys(slo).map((name) => [name, new Rate(name)]));
const wrong = new Counter('wrong_answers');
const basic = { Authorization: `Basic ${encoding.b64encode(`${seeded.machine_id}:${seeded.machine_secret}`)}` };
const json = { 'Content-Type': 'application/json' };

// Besides the objectives: an answer that is not what it must be is a failure however quick, and
// an iteration that could not start in time means that less was asked than the plan says.
export function thresholds(...names) {
  const shares = names.map((name) => [name, [`rate>=${slo[name].target}`]]);
  return {
    ...Object.fromEntries(shares), wrong_answers: ['count==0'], dropped_iterations: ['count==0'],
  };
}

// Arrivals do not wait for answers: a slow server gets as many requests as a quick one.
export function arriving(run, perSecond, more = {}) {
  return {
    executor: 'constant-arrival-rate', exec: run, duration: `${seconds}s`, gracefulStop: '10s',
    preAllocatedVUs: vus, maxVUs: vus, ...wholeNumbers(perSecond), ...more,
  };
}

// k6 takes whole numbers: a rate below ten a second is given for ten seconds.
export function wholeNumbers(perSecond) {
  return perSecond < 10
    ? { rate: Math.max(1, Math.round(perSecond * 10)), timeUnit: '10s' }
    : { rate: Math.round(perSecond), timeUnit: '1s' };
}

const available = (answer) => answer.status > 0 && answer.status < 500;

function judge(answer, kind, good) {
  sli[`${kind}_availability`].add(available(answer));
  const latency = slo[`${kind}_latency`];
  if (latency) sli[`${kind}_latency`].add(answer.timings.duration < latency.milliseconds);
  if (!good) {
    wrong.add(1);
    // An error's body names a rule; that of a good status may hold tokens.
    console.warn(`${answer.request.url}: ${answer.status} ${answer.error || (answer.status >= 400 ? answer.body : '')}`);
  }
  return good;
}

function member(answer, name) {
  return answer.status === 200 ? answer.json(name) : undefined;
}

function token(fields, params) {
  return http.post(`${base}/oauth2/token`, fields, params);
}

let chains;

// Each virtual user holds sessions of its own and sends the token that has waited longest; the
// answer's is what it sends for that session next. The client's grace is 0: each one rotates.
export function refresh() {
  if (!chains) {
    const own = exec.vu.idInTest - 1;
    chains = tokens.filter((_, at) => at % SHARES === own && at < tokens.length - RESERVED);
  }
  const sent = chains.shift();
  if (sent === undefined) {
    wrong.add(1);
    console.warn('no session is left to refresh');
    return;
  }
  const answer = token({ grant_type: 'refresh_token', client_id: seeded.client_id, refresh_token: sent },
    { tags: { name: 'refresh' } });
  const next = member(answer, 'refresh_token');
  if (judge(answer, 'token', next !== undefined && next !== sent)) chains.push(next);
}

let session;

// Three tabs of one browser wake up and refresh with the same token at the same moment: all must
// get the same next one.
export function tabs() {
  if (!session) session = login();
  if (!session) return;
  const one = ['POST', `${base}/auth/refresh`, JSON.stringify({ refreshToken: session }),
    { headers: json, tags: { name: 'tabs' } }];
  const answers = http.batch([one, one, one]);
  const next = answers.map((answer) => member(answer, 'refreshToken'));
  const good = next[0] !== undefined && next[0] !== session && next.every((its) => its === next[0]);
  answers.forEach((answer) => judge(answer, 'token', good));
  session = good ? next[0] : undefined;
}

export function login() {
  const email = seeded.people[exec.scenario.iterationInTest % seeded.people.length];
  const answer = http.post(`${base}/auth/login`, JSON.stringify({ email, password: seeded.password }),
    { headers: json, tags: { name: 'login' } });
  const first = member(answer, 'refreshToken');
  judge(answer, 'login', first !== undefined);
  return first;
}

export function machine() {
  const answer = token({ grant_type: 'client_credentials' },
    { headers: basic, tags: { name: 'client_credentials' } });
  judge(answer, 'token', member(answer, 'access_token') !== undefined);
}

export function jwks() {
  const answer = http.get(`${base}/.well-known/jwks.json`, { tags: { name: 'jwks' } });
  judge(answer, 'jwks', (member(answer, 'keys') || []).length > 0);
}

export function metadata() {
  const answer = http.get(`${base}/.well-known/openid-configuration`, { tags: { name: 'metadata' } });
  judge(answer, 'jwks', member(answer, 'jwks_uri') !== undefined);
}

// Access tokens to ask about.
export function accessTokens() {
  return tokens.slice(tokens.length - RESERVED).map((one) => member(token(
    { grant_type: 'refresh_token', client_id: seeded.client_id, refresh_token: one },
    { tags: { name: 'setup' } }), 'access_token'));
}

// Introspection has no objective of its own and is held to that of tokens. One in ten questions is
// about a token that nobody issued.
export function introspect(asked) {
  const number = exec.scenario.iterationInTest;
  const known = number % 10 !== 0;
  const about = known ? asked[number % asked.length] : `unknown-${number}`;
  const answer = http.post(`${base}/oauth2/introspect`, { token: about },
    { headers: basic, tags: { name: 'introspect' } });
  judge(answer, 'token', member(answer, 'active') === known);
}
