// A day in minutes: night, the morning's sign-ins, noon, an afternoon, and night again.
import { accessTokens, arriving, rate, seconds, thresholds, wholeNumbers } from './traffic.js';

export { introspect, jwks, login, machine, refresh, tabs } from './traffic.js';

export const setup = accessTokens;

const DAY = [[0.1, 0.1], [1, 0.15], [1, 0.1], [0.6, 0.15], [0.6, 0.1], [0.8, 0.15], [0.3, 0.15], [0.1, 0.1]];

// Share of the rate at the end of each part, and the part's share of the day.
function throughTheDay(run, perSecond) {
  const { rate: target, timeUnit } = wholeNumbers(perSecond);
  const stages = DAY.map(([height, length]) => ({
    target: Math.max(1, Math.round(target * height)), duration: `${seconds * length}s`,
  }));
  const { rate: _, duration: __, ...rest } = arriving(run, perSecond);
  return { ...rest, executor: 'ramping-arrival-rate', startRate: stages[0].target, timeUnit, stages };
}

export const options = {
  scenarios: {
    refresh: throughTheDay('refresh', rate * 0.54),
    tabs: throughTheDay('tabs', rate * 0.02), // three requests each
    introspect: throughTheDay('introspect', rate * 0.2),
    jwks: throughTheDay('jwks', rate * 0.1),
    machine: throughTheDay('machine', rate * 0.07),
    login: throughTheDay('login', rate * 0.03),
  },
  thresholds: thresholds(
    'token_availability', 'token_latency', 'login_availability', 'login_latency', 'jwks_availability',
  ),
};
