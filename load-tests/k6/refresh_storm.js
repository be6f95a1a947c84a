// Everybody refreshes: sessions that rotate with every request, and browsers whose tabs race.
import { arriving, rate, thresholds } from './traffic.js';

export { refresh, tabs } from './traffic.js';

export const options = {
  scenarios: {
    refresh: arriving('refresh', rate * 0.85),
    tabs: arriving('tabs', rate * 0.05), // three requests each
  },
  thresholds: thresholds('token_availability', 'token_latency', 'login_availability'),
};
