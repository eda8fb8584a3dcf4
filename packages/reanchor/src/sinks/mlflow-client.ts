/** The part of MLflow's REST API 2.0 that a run's metrics need. */
import { type Clock, timeLimit } from '../clock.js';

/** Of one request. */
const timeoutMs = 10_000;

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

export class MlflowClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  constructor(
    address: string,
    env: Readonly<Record<string, string | undefined>>,
    private readonly clock: Clock,
  ) {
    this.#base = `${address.replace(/\/+$/, '')}/api/2.0/mlflow`;
    this.#headers = { 'content-type': 'application/json', ...authorization(env) };
  }

  /** The id of an experiment; undefined if there is none of that name. */
  async findExperiment(name: string): Promise<string | undefined> {
    try {
      const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
      const found = await this.#request<{ experiment: { experiment_id: string } }>('GET', path);
      return found.experiment.experiment_id;
    } catch (error) {
      if (error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
      throw error;
    }
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

  /** Makes a run that has ended run again. */
  async reopenRun(run_id: string): Promise<void> {
    await this.#request('POST', 'runs/update', { run_id, status: 'RUNNING' });
  }

  async endRun(run_id: string, status: 'FINISHED' | 'FAILED' | 'KILLED', end_time: number): Promise<void> {
    await this.#request('POST', 'runs/update', { run_id, status, end_time });
  }

  async #request<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const where = `${method} ${this.#base}/${path.split('?')[0]}`;
    using limit = timeLimit(this.clock, timeoutMs, new Error(`no answer in ${timeoutMs / 1000} s`));
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#base}/${path}`, {
        method,
        headers: this.#headers,
        redirect: 'error',
        signal: limit.signal,
        ...(body && { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      const { cause, message } = error as Error;
      throw new MlflowError(`${where}: ${(cause as Error | undefined)?.message || message}`, { isPassing: true });
    }
    const answer = parsed(text) as { error_code?: string; message?: string } | undefined;
    if (response.ok && answer !== undefined) return answer as T;
    const { error_code: code, message = text.slice(0, 200) } = answer ?? {};
    const isPassing = response.status === 429 || response.status >= 500;
    throw new MlflowError(`${where}: ${response.status} ${code ?? ''} ${message}`.trim(), { isPassing, code });
  }
}

function authorization(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = env;
  if (user && password) {
    return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
  }
  return token ? { authorization: `Bearer ${token}` } : {};
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
