import { type Clock, systemClock } from '@reanchor/torch/host';
import type { Session } from '../client.js';

/** A session with a Hub at `endpoint` about the model some/model; `heard` gets what is waited for. */
export function sessionWith(endpoint: string, clock: Clock = systemClock, heard: string[] = []): Session {
  return {
    repository: { type: 'model', id: 'some/model', revision: 'main' },
    settings: { endpoint, token: undefined, cache: '', isOffline: false, idleMs: 10_000, answerMs: 15_000 },
    waiting: { endpoint, clock, idleMs: 10_000, onWait: (line) => heard.push(line) },
  };
}
