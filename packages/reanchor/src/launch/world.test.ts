import { describe, expect, test } from 'vitest';
import { UsageError } from '../errors.js';
import { worldOf } from './world.js';

type Variables = Record<string, string | undefined>;

/** Rank 5 of 8 on two machines, as each launcher says it. */
const torchrun = {
  RANK: '5',
  WORLD_SIZE: '8',
  LOCAL_RANK: '1',
  LOCAL_WORLD_SIZE: '4',
  GROUP_RANK: '1',
  MASTER_ADDR: 'node1.cluster',
  MASTER_PORT: '29512',
  TORCHELASTIC_RUN_ID: 'job7',
  TORCHELASTIC_RESTART_COUNT: '2',
  TORCHELASTIC_USE_AGENT_STORE: 'True',
};
const srun = {
  SLURM_JOB_ID: '200505',
  SLURM_STEP_ID: '3',
  SLURM_PROCID: '5',
  SLURM_LOCALID: '1',
  SLURM_NODEID: '1',
  SLURM_NTASKS: '8',
  SLURM_STEP_NUM_TASKS: '8',
  SLURM_STEP_TASKS_PER_NODE: '4(x2)',
  SLURM_STEP_NODELIST: 'gnode[07-08]',
};
const openMpi = {
  OMPI_COMM_WORLD_RANK: '5',
  OMPI_COMM_WORLD_SIZE: '8',
  OMPI_COMM_WORLD_LOCAL_RANK: '1',
  OMPI_COMM_WORLD_LOCAL_SIZE: '4',
  MASTER_ADDR: 'node1',
};
const mpich = { PMI_RANK: '5', PMI_SIZE: '8', MPI_LOCALRANKID: '1', MPI_LOCALNRANKS: '4', MASTER_ADDR: 'node1' };
const trainer = {
  PET_NNODES: '8',
  PET_NPROC_PER_NODE: 'auto',
  PET_NODE_RANK: '5',
  PET_MASTER_ADDR: 'tune-node-0-0.tune',
  PET_MASTER_PORT: '29400',
};
const pytorchJob = { RANK: '5', WORLD_SIZE: '8', MASTER_ADDR: 'tune-master-0', MASTER_PORT: '23456' };

const place = { rank: 5, size: 8, localRank: 1, localSize: 4 };
const pod = { rank: 5, size: 8, localRank: 0, localSize: 1 };
const ofRank0 = { storeHeldBy: 'rank 0', storePrefix: 'reanchor' };

describe('the world of a process', () => {
  test('torchrun: its agent keeps the store, and each restart has keys of its own', () => {
    const world = {
      ...place,
      host: 'node1.cluster',
      port: 29512,
      launcher: 'torchrun',
      storePrefix: 'reanchor/job7/2',
    };
    expect(worldOf(torchrun)).toEqual({ ...world, storeHeldBy: 'launcher' });
    expect(worldOf({ ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'False' })).toEqual({
      ...world,
      storeHeldBy: 'rank 0',
    });
  });

  test('srun: the first node of the step, and a port for each step', () => {
    const world = { ...place, host: 'gnode07', port: 20053, storeHeldBy: 'rank 0', launcher: 'srun' };
    expect(worldOf(srun)).toEqual({ ...world, storePrefix: 'reanchor/200505.3' });
    expect(worldOf({ ...srun, SLURM_STEP_ID: '4' })!.port).toBe(20054);
    expect(worldOf({ ...srun, MASTER_ADDR: '10.0.0.1', MASTER_PORT: '4000' })).toMatchObject({
      host: '10.0.0.1',
      port: 4000,
    });
  });

  test.each([
    ['login', 'login'],
    ['gnode[07-08],other[1-2]', 'gnode07'],
    ['a-b[12,3-4]', 'a-b12'],
    ['rack[1-2]n[03-04].cluster,x', 'rack1n03.cluster'],
    ['n1,n2', 'n1'],
  ])('the first host of %s is %s', (list, host) => {
    expect(worldOf({ ...srun, SLURM_STEP_NODELIST: list })!.host).toBe(host);
  });

  test('mpirun and mpiexec: the host is told, or there is one machine', () => {
    const world = { ...place, ...ofRank0, host: 'node1', port: 29500 };
    expect(worldOf(openMpi)).toEqual({ ...world, launcher: 'mpirun of Open MPI' });
    expect(worldOf({ ...mpich, MASTER_PORT: '4000' })).toEqual({ ...world, port: 4000, launcher: 'mpiexec of MPICH' });
    const here = { ...openMpi, OMPI_COMM_WORLD_LOCAL_RANK: '5', OMPI_COMM_WORLD_LOCAL_SIZE: '8', MASTER_ADDR: '' };
    expect(worldOf(here)).toMatchObject({ host: '127.0.0.1', port: 29500, localRank: 5, localSize: 8 });
  });

  test('Kubeflow: a pod is a process; PyTorchJob tells its pods in the words of torch, and of torchrun', () => {
    const world = { ...pod, ...ofRank0, host: 'tune-node-0-0.tune', port: 29400, launcher: 'Kubeflow' };
    expect(worldOf(trainer)).toEqual(world);
    // WORLD_SIZE counts processes there, and RANK pods.
    const later = { ...trainer, ...pytorchJob, WORLD_SIZE: '16', PET_NPROC_PER_NODE: '2' };
    expect(worldOf(later, { processes: 2 })).toEqual(world);
    const early = { ...pod, ...ofRank0, host: 'tune-master-0', port: 23456, launcher: 'the environment' };
    expect(worldOf(pytorchJob)).toEqual(early);
  });

  test('without local ranks, processes that meet on the loopback device are on one machine', () => {
    for (const host of ['localhost', '127.0.0.1', '::1']) {
      expect(worldOf({ ...pytorchJob, MASTER_ADDR: host })).toMatchObject({ localRank: 5, localSize: 8 });
    }
    expect(worldOf({ ...pytorchJob, MASTER_ADDR: '127.example.org' })).toMatchObject({ localRank: 0, localSize: 1 });
  });

  test('the innermost launcher counts', () => {
    expect(worldOf({ ...srun, ...torchrun })!.launcher).toBe('torchrun');
    expect(worldOf({ ...trainer, ...torchrun })!.launcher).toBe('torchrun');
    // mpirun starts a daemon on each node by srun.
    const daemons = { ...srun, SLURM_PROCID: '1', SLURM_STEP_NUM_TASKS: '2', SLURM_STEP_TASKS_PER_NODE: '1(x2)' };
    expect(worldOf({ ...daemons, ...openMpi })).toMatchObject({ ...place, launcher: 'mpirun of Open MPI' });
    expect(worldOf({ ...daemons, ...mpich })).toMatchObject({ ...place, launcher: 'mpiexec of MPICH' });
    // srun --mpi=pmi2
    expect(worldOf({ ...srun, PMI_RANK: '5', PMI_SIZE: '8' })!.launcher).toBe('srun');
  });

  test.each<[string, Variables]>([
    ['nothing', {}],
    ['an address alone', { MASTER_ADDR: 'node1', MASTER_PORT: '29500' }],
    ['a size of one', { WORLD_SIZE: '1' }],
    ['empty variables', { RANK: '', WORLD_SIZE: '', LOCAL_RANK: ' ', SLURM_STEP_ID: '' }],
    ['torchrun with one process', { ...torchrun, RANK: '0', WORLD_SIZE: '1', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '1' }],
    ['one pod', { ...trainer, PET_NNODES: '1', PET_NODE_RANK: '0' }],
    ['a setting of torchrun', { PET_NPROC_PER_NODE: '8' }],
    ['mpirun -n 1', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }],
    ['a batch script of eight tasks', { ...srun, SLURM_PROCID: '0', SLURM_LOCALID: '0', SLURM_STEP_ID: undefined }],
    ['the shell of salloc', { SLURM_JOB_ID: '7', SLURM_NTASKS: '8' }],
    [
      'a shell that srun has started',
      { ...srun, SLURM_STEP_ID: '4294967290', SLURM_PROCID: '0', SLURM_LOCALID: '0', SLURM_STEP_NUM_TASKS: '1' },
    ],
  ])('%s is a process of its own', (_, env) => {
    expect(worldOf(env)).toBeUndefined();
  });
});

const torch = { RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: 'h', MASTER_PORT: '1' };

test.each<[string, Variables, RegExp]>([
  [
    'no size',
    { RANK: '1' },
    /^RANK is set and WORLD_SIZE is not: .* the number of processes, or unset RANK to use one process/,
  ],
  ['no rank', { WORLD_SIZE: '2' }, /^WORLD_SIZE is set and RANK is not: .* set RANK to the number of this process/],
  ['a local rank alone', { LOCAL_RANK: '0' }, /^LOCAL_RANK is set and WORLD_SIZE is not/],
  ['no local size', { ...torch, LOCAL_RANK: '1' }, /^RANK is set and LOCAL_WORLD_SIZE is not/],
  ['no host', { ...torch, MASTER_ADDR: '' }, /^RANK is set and MASTER_ADDR is not: .* the host of rank 0/],
  ['no port', { ...torch, MASTER_PORT: undefined }, /^RANK is set and MASTER_PORT is not: .* a free port/],
  ['a port that is a word', { ...torch, MASTER_PORT: 'auto' }, /^MASTER_PORT is "auto": it has to be a whole number/],
  ['port 0', { ...torch, MASTER_PORT: '0' }, /^MASTER_PORT is 0: it has to be a number from 1 to 65535/],
  ['port 65536', { ...torch, MASTER_PORT: '65536' }, /^MASTER_PORT is 65536/],
  ['a rank that is too high', { ...torch, RANK: '2' }, /^RANK is 2 and WORLD_SIZE is 2: the processes are counted/],
  ['a rank beside one process', { ...torch, WORLD_SIZE: '1' }, /^RANK is 1 and WORLD_SIZE is 1/],
  ['a negative rank', { ...torch, RANK: '-1' }, /^RANK is "-1": it has to be a whole number/],
  ['no processes', { ...torch, WORLD_SIZE: '0' }, /^WORLD_SIZE is 0: it has to be the number of processes, 1 or more/],
  [
    'a local rank that is too high',
    { ...torchrun, LOCAL_RANK: '4' },
    /^LOCAL_RANK is 4 and LOCAL_WORLD_SIZE is 4: the processes are counted from 0/,
  ],
  [
    'machines that differ',
    { ...torchrun, WORLD_SIZE: '7' },
    /^WORLD_SIZE is 7 and LOCAL_WORLD_SIZE is 4: every machine has to have as many processes/,
  ],
  ['a machine larger than all', { ...torchrun, LOCAL_WORLD_SIZE: '16' }, /^WORLD_SIZE is 8 and LOCAL_WORLD_SIZE is 16/],
  ['no host from mpirun', { ...openMpi, MASTER_ADDR: '' }, /^MASTER_ADDR is not set, .* mpirun -x MASTER_ADDR=HOST/],
  ['no host from mpiexec', { ...mpich, MASTER_ADDR: '' }, /^MASTER_ADDR is not set, .* -genv MASTER_ADDR HOST/],
  ['half of mpirun', { OMPI_COMM_WORLD_RANK: '1' }, /^OMPI_COMM_WORLD_RANK is set and OMPI_COMM_WORLD_SIZE is not/],
  ['half of srun', { ...srun, SLURM_STEP_NUM_TASKS: '' }, /^SLURM_STEP_ID is set and SLURM_STEP_NUM_TASKS is not/],
  ['no nodes of srun', { ...srun, SLURM_STEP_NODELIST: '' }, /^SLURM_STEP_ID is set and SLURM_STEP_NODELIST is not/],
  [
    'nodes that differ',
    { ...srun, SLURM_STEP_TASKS_PER_NODE: '5,3' },
    /^SLURM_STEP_TASKS_PER_NODE is "5,3": every node .* --ntasks-per-node/,
  ],
  ['no rank of a pod', { ...trainer, PET_NODE_RANK: '' }, /^PET_NNODES is set and PET_NODE_RANK is not/],
  [
    'pods that come and go',
    { ...trainer, PET_NNODES: '1:4' },
    /^PET_NNODES is "1:4", and a run keeps .* elasticPolicy/,
  ],
  [
    'a pod of eight',
    { ...trainer, PET_NPROC_PER_NODE: '8' },
    /^PET_NPROC_PER_NODE is 8, and 1 of each pod trains: start 8 by torchrun, or set numProcPerNode/,
  ],
  ['a world that is no JSON', { REANCHOR_WORLD: 'x' }, /^REANCHOR_WORLD is "x": reanchor sets it .* Unset it$/],
  ['a world that is none', { REANCHOR_WORLD: '{"rank":1}' }, /^REANCHOR_WORLD is /],
])('refused by name: %s', (_, env, message) => {
  expect(() => worldOf(env)).toThrow(UsageError);
  expect(() => worldOf(env)).toThrow(message);
});

test('a pod whose job counts other processes than it starts is refused', () => {
  expect(() => worldOf({ ...trainer, PET_NPROC_PER_NODE: '8' }, { processes: 4 })).toThrow(
    /^PET_NPROC_PER_NODE is 8, and 4 of each pod train:/,
  );
});
