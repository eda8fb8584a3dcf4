/**
 * The processes that do one work together, such as training a model: how many there are, and which one this is.
 * Whatever started them has left it in the environment, each launcher in its own words.
 */
import { shown, UsageError } from '../errors.js';

/** One process among those that do one work together. */
export interface World {
  /** The number of this process, from 0, and how many there are. */
  rank: number;
  size: number;
  /** The same among the processes of this machine: `localRank` is the number of its GPU. */
  localRank: number;
  localSize: number;
  /** Where the rendezvous store listens, in which the processes find each other, and who keeps it. */
  host: string;
  port: number;
  storeHeldBy: 'launcher' | 'rank 0';
  /** What the keys of the store begin with: a launcher's store has keys of its own, and those of earlier attempts. */
  storePrefix: string;
  /** What has started the processes, as messages call it. */
  launcher: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The variables in which a launcher says who a process is. */
interface Names {
  rank: string;
  size: string;
  localRank: string;
  localSize: string;
}

type Place = Pick<World, 'rank' | 'size' | 'localRank' | 'localSize'>;

/**
 * What one launcher has left: undefined where it has not started this process, 'alone' where it has started one.
 * `processes` is how many processes this one will start.
 */
type Reader = (env: Environment, processes: number) => World | 'alone' | undefined;

/** By this variable `--processes` tells the processes that it starts who they are: a {@link World} as JSON. */
export const worldVariable = 'REANCHOR_WORLD';

/** The port where nobody names one: torchrun's. */
const defaultPort = 29500;

/**
 * The world of this process, as `--processes`, torchrun, mpirun, Kubeflow or srun have left it in the environment;
 * undefined where it is a process of its own. The innermost launcher counts: torchrun that srun has started, and so on.
 * One that will start `processes` itself says so: its world is then that of its like, one for each machine or pod.
 * Errors: UsageError that names the variable, where only some of them are set, or where they contradict each other.
 */
export function worldOf(env: Environment, { processes = 1 } = {}): World | undefined {
  const readers: Reader[] = [ofOurs, ofPods, ofTorch, ...mpis.map(ofMpi), ofSlurm];
  for (const read of readers) {
    const found = read(env, processes);
    if (found !== undefined) return found === 'alone' ? undefined : found;
  }
  return undefined;
}

const ofOurs: Reader = (env) => {
  const text = variable(env, worldVariable);
  if (text === undefined) return undefined;
  try {
    const world = JSON.parse(text) as Partial<World> | null;
    if (typeof world?.rank === 'number' && typeof world.port === 'number') return world as World;
  } catch {
    // Said below.
  }
  throw new UsageError(
    `${worldVariable} is ${shown(text)}: reanchor sets it for the processes that it starts, and nobody else. Unset it`,
  );
};

/**
 * Pods that Kubeflow has started, in the words of torchrun's flags: Trainer v2, where a command is no torchrun
 * (kubeflow/trainer, pkg/runtime/framework/plugins/torch/torch.go), and later versions
 * of PyTorchJob v1 (kubeflow/training-operator, pkg/controller.v1/pytorch/envvar.go), whose RANK counts pods and whose
 * WORLD_SIZE counts processes. The processes of a torchrun in such a pod have LOCAL_RANK, and are no pods.
 */
const ofPods: Reader = (env, processes) => {
  if (variable(env, 'LOCAL_RANK') !== undefined) return undefined;
  const given = firstSet(env, ['PET_NODE_RANK', 'PET_NNODES']);
  if (given === undefined) return undefined;
  const count = required(env, 'PET_NNODES', given, 'the number of pods');
  if (count.includes(':')) {
    throw new UsageError(
      `PET_NNODES is ${shown(count)}, and a run keeps the number of its pods: take elasticPolicy out of the PyTorchJob`,
    );
  }
  const place = {
    ...rankOf(env, { rank: 'PET_NODE_RANK', size: 'PET_NNODES' }, given),
    localRank: 0,
    localSize: 1,
  };
  checkProcessesOfPod(env, processes);
  if (place.size === 1) return 'alone';
  return {
    ...place,
    host: required(env, 'PET_MASTER_ADDR', given, 'the address of the first pod'),
    port: portOf(env, 'PET_MASTER_PORT', given),
    storeHeldBy: 'rank 0',
    storePrefix: 'reanchor',
    launcher: 'Kubeflow',
  };
};

/** That a pod gets as many processes as its job says; the words auto, cpu and gpu leave it to the command. */
function checkProcessesOfPod(env: Environment, processes: number): void {
  const given = variable(env, 'PET_NPROC_PER_NODE');
  if (given === undefined || !/^\d+$/.test(given) || Number(given) === processes) return;
  throw new UsageError(
    `PET_NPROC_PER_NODE is ${given}, and ${processes} of each pod ${processes === 1 ? 'trains' : 'train'}: start ` +
      `${given} by torchrun, or set numProcPerNode (of a PyTorchJob nprocPerNode) to ${processes}`,
  );
}

/**
 * A process of torchrun, or any that has the variables that PyTorch knows:
 * https://docs.pytorch.org/docs/stable/elastic/run.html, and torch/distributed/elastic/agent/server/
 * local_elastic_agent.py, which sets them. Early versions of PyTorchJob v1 set them without the local ones, one process
 * a pod. torchrun keeps the store itself where it says so (torch/distributed/rendezvous.py); each restart of its
 * processes has keys of its own.
 */
const ofTorch: Reader = (env) => {
  const names = { rank: 'RANK', size: 'WORLD_SIZE', localRank: 'LOCAL_RANK', localSize: 'LOCAL_WORLD_SIZE' };
  const given = firstSet(env, Object.values(names));
  // Some set it for every program, and say by it that there is one.
  if (given === undefined || (given === 'WORLD_SIZE' && variable(env, given) === '1')) return undefined;
  const counted = rankOf(env, names, given);
  if (counted.size === 1) return 'alone';
  const host = required(env, 'MASTER_ADDR', given, 'the host of rank 0');
  const port = portOf(env, 'MASTER_PORT', given);
  const isLocal = firstSet(env, [names.localRank, names.localSize]) !== undefined;
  const place = isLocal ? placeOf(env, names, given) : { ...counted, ...undividedPlace(counted, host) };
  const runId = variable(env, 'TORCHELASTIC_RUN_ID');
  return {
    ...place,
    host,
    port,
    storeHeldBy: variable(env, 'TORCHELASTIC_USE_AGENT_STORE') === 'True' ? 'launcher' : 'rank 0',
    storePrefix: runId ? `reanchor/${runId}/${variable(env, 'TORCHELASTIC_RESTART_COUNT') ?? 0}` : 'reanchor',
    launcher: runId ? 'torchrun' : 'the environment',
  };
};

/** Without local ranks: all processes on this machine, where rank 0 can be reached from no other; else one on each. */
function undividedPlace({ rank, size }: Pick<Place, 'rank' | 'size'>, host: string) {
  const isHere = /^(localhost|127\.[\d.]+|::1|\[::1\])$/.test(host);
  return isHere ? { localRank: rank, localSize: size } : { localRank: 0, localSize: 1 };
}

/**
 * Launchers of MPI. Open MPI: https://docs.open-mpi.org/en/v5.0.x/tuning-apps/environment-var.html. MPICH and those
 * made of it (Intel MPI): pmodels/mpich, src/pm/hydra/proxy/pmip_cb.c.
 */
const mpis: (Names & { launcher: string; passOn: string })[] = [
  {
    launcher: 'mpirun of Open MPI',
    passOn: 'mpirun -x MASTER_ADDR=HOST',
    rank: 'OMPI_COMM_WORLD_RANK',
    size: 'OMPI_COMM_WORLD_SIZE',
    localRank: 'OMPI_COMM_WORLD_LOCAL_RANK',
    localSize: 'OMPI_COMM_WORLD_LOCAL_SIZE',
  },
  {
    launcher: 'mpiexec of MPICH',
    passOn: 'mpiexec -genv MASTER_ADDR HOST',
    rank: 'PMI_RANK',
    size: 'PMI_SIZE',
    localRank: 'MPI_LOCALRANKID',
    localSize: 'MPI_LOCALNRANKS',
  },
];

const ofMpi =
  ({ launcher, passOn, ...names }: (typeof mpis)[number]): Reader =>
  (env) => {
    // srun --mpi=pmi2 sets the ranks of PMI too, without the local ones; Slurm has them all.
    const own = isStep(env) ? [names.localRank, names.localSize] : Object.values(names);
    const given = firstSet(env, own);
    if (given === undefined) return undefined;
    if (rankOf(env, names, given).size === 1) return 'alone';
    const place = placeOf(env, names, given);
    const isOneMachine = place.size === place.localSize;
    const host = variable(env, 'MASTER_ADDR') ?? (isOneMachine ? '127.0.0.1' : undefined);
    if (host === undefined) {
      throw new UsageError(
        `MASTER_ADDR is not set, and ${launcher} does not say where rank 0 is: give all processes its host, ` +
          `${passOn}, with a free port as MASTER_PORT unless ${defaultPort} is free`,
      );
    }
    const port = variable(env, 'MASTER_PORT') === undefined ? defaultPort : portOf(env, 'MASTER_PORT', given);
    return { ...place, host, port, storeHeldBy: 'rank 0', storePrefix: 'reanchor', launcher };
  };

/** Whether srun has started this: a batch script and the shell of salloc have a rank too, and no step. */
const isStep = (env: Environment) =>
  variable(env, 'SLURM_STEP_ID') !== undefined && variable(env, 'SLURM_PROCID') !== undefined;

/**
 * A task of srun: https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES. SLURM_NTASKS is the job's;
 * a step may have fewer.
 */
const ofSlurm: Reader = (env) => {
  if (!isStep(env)) return undefined;
  const names = {
    rank: 'SLURM_PROCID',
    size: 'SLURM_STEP_NUM_TASKS',
    localRank: 'SLURM_LOCALID',
    localSize: 'SLURM_STEP_TASKS_PER_NODE',
  };
  const given = 'SLURM_STEP_ID';
  if (rankOf(env, names, given).size === 1) return 'alone';
  const perNode = tasksPerNode(required(env, names.localSize, given, 'the tasks of each node'));
  const place = placeOf({ ...env, [names.localSize]: String(perNode) }, names, given);
  const nodes = required(env, 'SLURM_STEP_NODELIST', given, 'the nodes of the step');
  const [job, step] = ['SLURM_JOB_ID', 'SLURM_STEP_ID'].map((name) => wholeNumber(env, name, given, 'its number'));
  return {
    ...place,
    host: variable(env, 'MASTER_ADDR') ?? firstHost(nodes),
    // Below the ports that Linux gives to connections, and another one for each step that may share a node.
    port: variable(env, 'MASTER_PORT') ? portOf(env, 'MASTER_PORT', given) : 15_000 + ((job! * 10 + step!) % 10_000),
    storeHeldBy: 'rank 0',
    storePrefix: `reanchor/${job}.${step}`,
    launcher: 'srun',
  };
};

/** The tasks of each node, of a list such as `8(x2)`. Errors: UsageError where the nodes have not the same number. */
function tasksPerNode(list: string): number {
  const counts = list.split(',').map((part) => /^(\d+)(?:\(x\d+\))?$/.exec(part)?.[1]);
  const [count] = counts;
  if (count !== undefined && counts.every((other) => other === count)) return Number(count);
  throw new UsageError(
    `SLURM_STEP_TASKS_PER_NODE is ${shown(list)}: every node has to have as many tasks as the others. ` +
      'Say how many with --ntasks-per-node',
  );
}

/** The first host of a list such as `node[03-07,09],login`. */
function firstHost(list: string): string {
  const first = /^(?:[^,[\]]|\[[^\]]*\])+/.exec(list)?.[0] ?? list;
  return first.replaceAll(/\[([^\],-]+)[^\]]*\]/g, '$1');
}

/** The value of a variable; one that is empty is not set. */
const variable = (env: Environment, name: string) => env[name]?.trim() || undefined;

const firstSet = (env: Environment, names: readonly string[]) =>
  names.find((name) => variable(env, name) !== undefined);

/** The value of a variable that has to be set where `given` is. */
function required(env: Environment, name: string, given: string, meaning: string): string {
  const value = variable(env, name);
  if (value !== undefined) return value;
  throw new UsageError(
    `${given} is set and ${name} is not: start the processes by a launcher that sets both, set ${name} to ${meaning}, ` +
      `or unset ${given} to use one process`,
  );
}

function wholeNumber(env: Environment, name: string, given: string, meaning: string): number {
  const text = required(env, name, given, meaning);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`${name} is ${shown(text)}: it has to be a whole number, ${meaning}`);
}

function portOf(env: Environment, name: string, given: string): number {
  const meaning = 'a free port of the host of rank 0';
  const port = wholeNumber(env, name, given, meaning);
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`${name} is ${port}: it has to be a number from 1 to 65535, ${meaning}`);
}

function rankOf(env: Environment, names: Pick<Names, 'rank' | 'size'>, given: string): Pick<Place, 'rank' | 'size'> {
  const size = wholeNumber(env, names.size, given, 'the number of processes');
  if (size === 0) throw new UsageError(`${names.size} is 0: it has to be the number of processes, 1 or more`);
  const rank = wholeNumber(env, names.rank, given, 'the number of this process, from 0');
  checkRank(names.rank, rank, names.size, size);
  return { rank, size };
}

function placeOf(env: Environment, names: Names, given: string): Place {
  const { rank, size } = rankOf(env, names, given);
  const localSize = wholeNumber(env, names.localSize, given, 'the number of processes of this machine');
  const localRank = wholeNumber(env, names.localRank, given, 'the number of this process on its machine, from 0');
  checkRank(names.localRank, localRank, names.localSize, localSize);
  if (size % localSize === 0) return { rank, size, localRank, localSize };
  throw new UsageError(
    `${names.size} is ${size} and ${names.localSize} is ${localSize}: every machine has to have as many processes as ` +
      'the others, so that the first is a multiple of the second',
  );
}

function checkRank(rankName: string, rank: number, sizeName: string, size: number): void {
  if (rank < size) return;
  throw new UsageError(
    `${rankName} is ${rank} and ${sizeName} is ${size}: the processes are counted from 0, up to ${sizeName} - 1`,
  );
}
