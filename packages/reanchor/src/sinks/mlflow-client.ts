/** The part of MLflow's REST API 2.0 that a run's metrics need. */
import { type Clock, systemClock, timeLimit } from '../clock.js';
import { bytesAtMost } from '../formats/index.js';
import { MlflowCredentials } from './mlflow-credentials.js';

/** A request that MLflow did not grant. */
export class MlflowError extends Error {
  override name = 'MlflowError';
  /** Whether the same request may be granted later: the server is not there, too busy or failing. */
  readonly isPassing: boolean;
  readonly code: string | undefined;

  constructor(message: string, { isPassing, code }: { isPassing: boolean; code?: string | undefined }) {
    super(message);
    this.isPassing = isPassing;
    this.code = code;
  }
}

export interface MlflowMetric {
  key: string;
  value: number | 'NaN' | 'Infinity' | '-Infinity';
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}

export interface KeyValue {
  key: string;
  value: string;
}

/** Most metrics, and most parameters, of one log-batch request, as MLflow allows. */
export const batchLimits = { metrics: 1000, params: 100 };

/** Bytes of an answer, and characters of a message of it, at most. */
const mostBytes = 1 << 22;
const mostMessage = 500;

export interface MlflowClientOptions {
  /** An http or https address. */
  address: string;
  /** The address as messages show it. */
  shown?: string | undefined;
  env?: Readonly<Record<string, string | undefined>> | undefined;
  timeoutMs?: number | undefined;
  clock?: Clock | undefined;
}

/** A tracking server. Redirects are not followed. No message holds a credential. */
export class MlflowClient {
  /** The address as messages show it. */
  readonly shown: string;
  readonly #base: string;
  readonly #credentials: MlflowCredentials;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor(options: MlflowClientOptions) {
    const { address, shown = address, env = process.env, timeoutMs = 10_000, clock = systemClock } = options;
    this.shown = shown;
    this.#base = basePath(address);
    this.#credentials = new MlflowCredentials(address, shown, env);
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** Why the credentials of the environment are not sent to this server, if there are any and they are not. */
  get withheld(): string | undefined {
    return this.#credentials.withheld;
  }

  /** The id of an experiment; undefined if there is none of that name. */
  async findExperiment(name: string): Promise<string | undefined> {
    const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    const found = await this.#found(this.#request<{ experiment: { experiment_id: string } }>('GET', path));
    return found?.experiment.experiment_id;
  }

  /** The id of a new experiment. */
  async createExperiment(name: string): Promise<string> {
    return (await this.#request<{ experiment_id: string }>('POST', 'experiments/create', { name })).experiment_id;
  }

  /** The id of a new run. */
  async createRun(options: {
    experiment_id: string;
    run_name: string;
    start_time: number;
    tags: KeyValue[];
  }): Promise<string> {
    const { run } = await this.#request<{ run: { info: { run_id: string } } }>('POST', 'runs/create', options);
    return run.info.run_id;
  }

  async logBatch(run_id: string, batch: { metrics?: MlflowMetric[]; params?: KeyValue[] }): Promise<void> {
    await this.#request('POST', 'runs/log-batch', { run_id, ...batch });
  }

  /** Makes a run that has ended run again; false where there is none of this id. */
  async reopenRun(run_id: string): Promise<boolean> {
    const answer = await this.#found(this.#request('POST', 'runs/update', { run_id, status: 'RUNNING' }));
    return answer !== undefined;
  }

  async endRun(run_id: string, status: 'FINISHED' | 'FAILED' | 'KILLED', end_time: number): Promise<void> {
    await this.#request('POST', 'runs/update', { run_id, status, end_time });
  }

  /** The answer to a request; undefined where what it is about is not there. */
  async #found<T>(asked: Promise<T>): Promise<T | undefined> {
    return asked.catch((error: unknown) => {
      if (error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
      throw error;
    });
  }

  async #request<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const where = `${method} ${basePath(this.shown)}/${path.split('?')[0]}`;
    const failure = (why: string, kind: ConstructorParameters<typeof MlflowError>[1]) =>
      new MlflowError(this.#credentials.hide(`${where}: ${why}`.trim()).slice(0, mostMessage), kind);
    using limit = timeLimit(this.#clock, this.#timeoutMs, new Error(`no answer in ${this.#timeoutMs / 1000} s`));
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#base}/${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...this.#credentials.headers },
        redirect: 'error',
        signal: limit.signal,
        ...(body && { body: JSON.stringify(body) }),
      });
      text = String((await bytesAtMost(response.body, mostBytes)) ?? '');
    } catch (error) {
      const { cause, message } = error as Error;
      throw failure((cause as Error | undefined)?.message || message, { isPassing: true });
    }
    const answer = parsed(text) as { error_code?: string; message?: string } | undefined;
    if (response.ok && answer !== undefined) return answer as T;
    const { error_code: code, message = text } = answer ?? {};
    const isPassing = response.status === 429 || response.status >= 500;
    throw failure(`${response.status} ${code ?? ''} ${message}`, { isPassing, code });
  }
}

const basePath = (address: string) => `${address.replace(/\/+$/, '')}/api/2.0/mlflow`;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
