/** What the server tells, as it comes. */
import { useEffect, useState } from 'preact/hooks';
import type {
  ListPatch,
  Result,
  RunList,
  RunPatch,
  RunSeriesData,
  RunState,
  StreamEvents,
  StudyState,
} from 'reanchor/serve';
import { type Connection, connect } from './connect.js';
import { ask } from './door.js';
import { merge, mergeList } from './merge.js';

export function useList(): { list: RunList | undefined; connection: Connection } {
  const [list, setList] = useState<RunList>();
  const [connection, setConnection] = useState<Connection>('connecting');
  useEffect(() => {
    const patch = (fresh: ListPatch) => setList((known) => known && mergeList(known, fresh));
    return connect('list=1', { list: setList, listPatch: patch }, setConnection);
  }, []);
  return { list, connection };
}

export interface FollowedRuns {
  states: ReadonlyMap<string, RunState>;
  /** What is wrong, by run. */
  problems: ReadonlyMap<string, string>;
  connection: Connection;
}

export function useRuns(ids: readonly string[]): FollowedRuns {
  const [states, setStates] = useState<ReadonlyMap<string, RunState>>(new Map());
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map());
  const [connection, setConnection] = useState<Connection>('connecting');
  const key = ids.join('\n');
  useEffect(() => {
    setStates(new Map());
    setProblems(new Map());
    if (key === '') return;
    const put = (state: RunState) => {
      setStates((known) => new Map(known).set(state.id, state));
      setProblems((known) => new Map([...known].filter(([id]) => id !== state.id)));
    };
    const patch = (fresh: RunPatch) =>
      setStates((known) => {
        const state = known.get(fresh.id);
        return state ? new Map(known).set(fresh.id, merge(state, fresh)) : known;
      });
    const problem = ({ id, message }: StreamEvents['problem']) =>
      setProblems((known) => new Map(known).set(id, message));
    const query = key
      .split('\n')
      .map((id) => `run=${encodeURIComponent(id)}`)
      .join('&');
    return connect(query, { state: put, patch, problem }, setConnection);
  }, [key]);
  return { states, problems, connection };
}

/** A study in one of its scores, the first when left out; what was shown stays until another one is there. */
export function useStudy(id: string, quality: string | undefined) {
  const [study, setStudy] = useState<StudyState>();
  const [problem, setProblem] = useState<string>();
  const [connection, setConnection] = useState<Connection>('connecting');
  useEffect(() => {
    const put = (state: StudyState) => {
      setStudy(state);
      setProblem(undefined);
    };
    const tell = ({ message }: StreamEvents['problem']) => setProblem(message);
    const score = quality === undefined ? '' : `&quality=${encodeURIComponent(quality)}`;
    return connect(`study=${encodeURIComponent(id)}${score}`, { study: put, problem: tell }, setConnection);
  }, [id, quality]);
  return { study, problem, connection };
}

/** The series of some steps of a run, in full detail. */
export async function fetchSeries(id: string, from: number, to: number): Promise<RunSeriesData> {
  return request(`./api/series?run=${encodeURIComponent(id)}&from=${from}&to=${to}`);
}

export function useResult(id: string | undefined): { result: Result | undefined; problem: string | undefined } {
  const [answer, setAnswer] = useState<{ id: string; result?: Result; problem?: string }>();
  useEffect(() => {
    if (id === undefined) return;
    let isCurrent = true;
    request<Result>(`./api/result?id=${encodeURIComponent(id)}`).then(
      (result) => isCurrent && setAnswer({ id, result }),
      (error: Error) => isCurrent && setAnswer({ id, problem: error.message }),
    );
    return () => {
      isCurrent = false;
    };
  }, [id]);
  const current = answer?.id === id ? answer : undefined;
  return { result: current?.result, problem: current?.problem };
}

async function request<T>(path: string): Promise<T> {
  const response = await ask(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return (await response.json()) as T;
}
