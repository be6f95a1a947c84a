// APIs that ask about each token they are sent instead of verifying it themselves.
import { accessTokens, arriving, rate, thresholds } from './traffic.js';

export { introspect } from './traffic.js';

export const setup = accessTokens;

export const options = {
  scenarios: { introspect: arriving('introspect', rate) },
  thresholds: thresholds('token_availability', 'token_latency'),
};
