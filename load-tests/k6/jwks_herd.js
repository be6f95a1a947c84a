// APIs that verify tokens: a steady trickle of them reads keys and metadata, and in the middle, as
// after a rotation or their common restart, all read the keys at once.
import { arriving, rate, seconds, thresholds } from './traffic.js';

export { jwks, metadata } from './traffic.js';

export const options = {
  scenarios: {
    trickle: arriving('jwks', rate * 0.2),
    metadata: arriving('metadata', rate * 0.1),
    herd: arriving('jwks', rate, { startTime: `${seconds / 3}s`, duration: `${seconds / 3}s` }),
  },
  thresholds: thresholds('jwks_availability'),
};
