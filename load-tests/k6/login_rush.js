// Monday, nine o'clock: people sign in with their passwords, each of which is one slow hash.
import { arriving, rate, thresholds } from './traffic.js';

export { login } from './traffic.js';

export const options = {
  scenarios: { login: arriving('login', rate) },
  thresholds: thresholds('login_availability', 'login_latency'),
};
