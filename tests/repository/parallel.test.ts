// The listings of docs/guide/parallel.md: their flags are those of the launchers, and what the launchers make of them
// is what the command reads.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { type World, worldOf } from '#reanchor/launch/index.js';
import { parseYaml } from '#reanchor/recipe/index.js';
import { repositoryRoot } from '../support/repository.js';

const page = readFileSync(join(repositoryRoot, 'docs/guide/parallel.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, kind, text]) => ({ kind, text: text! }));
const shells = blocks.filter(({ kind }) => kind === 'sh').map(({ text }) => text.replaceAll('\\\n', ' '));

interface TrainJob {
  apiVersion: string;
  kind: string;
  spec: {
    trainer: {
      image: string;
      command: string[];
      numNodes: number;
      numProcPerNode: number;
      resourcesPerNode: { limits: Record<string, number> };
    };
  };
}

/** The manifest, by the rules of YAML 1.1, as Kubernetes reads it. */
function manifest(): TrainJob {
  const { value, problems } = parseYaml(blocks.find(({ kind }) => kind === 'yaml')!.text, { version: '1.1' });
  expect(problems).toEqual([]);
  return value as TrainJob;
}

/** The words of the one line that runs a launcher, up to the command and from its verb on. */
function launched(launcher: string, isIt = (_line: string) => true): { before: string[]; command: string[] } {
  const found = shells
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.startsWith(launcher) && isIt(line))
    .map((line) => line.split(/\s+/));
  expect(found.length, `lines of ${launcher}`).toBe(1);
  const at = found[0]!.findIndex((word) => /(^|\/)reanchor$/.test(word));
  return { before: found[0]!.slice(1, at), command: found[0]!.slice(at) };
}

/** The value behind a flag. */
const after = (words: string[], flag: string) => words[words.indexOf(flag) + 1]!;

/** That the worlds of all processes are those of one run, of `machines` machines with `each` processes. */
function expectOneRun(worlds: (World | undefined)[], machines: number, each: number): void {
  expect(worlds.map((world) => world!.rank)).toEqual([...worlds.keys()]);
  expect(new Set(worlds.map((world) => `${world!.host}:${world!.port} ${world!.storePrefix}`)).size).toBe(1);
  expect(worlds.length).toBe(machines * each);
  for (const world of worlds) expect(world).toMatchObject({ size: machines * each, localSize: each });
  expect(worlds.map((world) => world!.localRank)).toEqual([...worlds.keys()].map((rank) => rank % each));
}

const ranks = (count: number) => Array.from({ length: count }, (_, rank) => rank);

test('every listing trains a recipe that there is, with flags of the command', () => {
  const commands = [
    ...shells.flatMap((text) => [...text.matchAll(/(?:\/|npx )(reanchor train .*)$/gm)].map(([, line]) => line!)),
    manifest().spec.trainer.command.join(' '),
  ];
  expect(commands.length).toBe(8);
  const { options } = commandLine(new Terminal()).commands.find((command) => command.name() === 'train')!;
  // It is not a flag yet, as the page says at its top.
  const flags = options.map(({ long }) => long);
  for (const command of commands) {
    const words = command.split(/\s+/);
    expect(existsSync(join(repositoryRoot, words[2]!)), words[2]).toBe(true);
    for (const flag of words.filter((word) => word.startsWith('--'))) expect(flags, command).toContain(flag);
  }
});

test('torchrun: its flags, and the processes that it starts', () => {
  // torch/distributed/run.py
  const known = ['--standalone', '--nnodes', '--nproc-per-node', '--no-python', '--max-restarts'];
  const meeting = ['--rdzv-backend', '--rdzv-id', '--rdzv-endpoint'];
  const one = launched('torchrun', (line) => line.includes('--standalone')).before;
  const several = launched('torchrun', (line) => line.includes('--nnodes')).before;
  for (const words of [one, several]) {
    expect(words).toContain('--no-python');
    for (const word of words.filter((name) => name.startsWith('-'))) expect([...known, ...meeting]).toContain(word);
  }
  expect(several).toEqual(expect.arrayContaining(meeting));
  expect(after(several, '--rdzv-endpoint')).toMatch(/^\w+:\d+$/);
  const [machines, each] = [Number(after(several, '--nnodes')), Number(after(several, '--nproc-per-node'))];
  const worlds = ranks(machines * each).map((rank) =>
    worldOf({
      RANK: String(rank),
      WORLD_SIZE: String(machines * each),
      LOCAL_RANK: String(rank % each),
      LOCAL_WORLD_SIZE: String(each),
      MASTER_ADDR: 'node1',
      MASTER_PORT: '41000',
      TORCHELASTIC_RUN_ID: after(several, '--rdzv-id'),
      TORCHELASTIC_USE_AGENT_STORE: 'True',
    }),
  );
  expectOneRun(worlds, machines, each);
});

test('sbatch: what it asks for is what srun starts', () => {
  const script = shells.find((text) => text.startsWith('#!/bin/bash\n'))!;
  const asked = new Map([...script.matchAll(/^#SBATCH --([\w-]+)=(.+)$/gm)].map(([, name, value]) => [name, value!]));
  expect([...script.matchAll(/^#SBATCH /gm)].length).toBe(asked.size);
  const [nodes, each] = ['nodes', 'ntasks-per-node'].map((name) => Number(asked.get(name)));
  // A task for each GPU, and each task sees all of its node.
  expect(asked.get('gpus-per-node')).toBe(String(each));
  expect(asked.has('gpus-per-task')).toBe(false);
  // Slurm sets it where tasks are asked for CPUs, and srun asks again.
  expect(asked.has('cpus-per-task')).toBe(true);
  const variables = [...script.matchAll(/\$(\w+)/g)].map(([, name]) => name);
  expect(new Set(variables)).toEqual(new Set(['SLURM_CPUS_PER_TASK']));
  const { before } = launched('srun');
  expect(before).toEqual(['--kill-on-bad-exit=1', '--cpus-per-task=$SLURM_CPUS_PER_TASK']);
  const batch = { SLURM_JOB_ID: '7', SLURM_NTASKS: String(nodes! * each!), SLURM_PROCID: '0', SLURM_LOCALID: '0' };
  expect(worldOf(batch)).toBeUndefined();
  const worlds = ranks(nodes! * each!).map((rank) =>
    worldOf({
      ...batch,
      SLURM_STEP_ID: '0',
      SLURM_PROCID: String(rank),
      SLURM_LOCALID: String(rank % each!),
      SLURM_STEP_NUM_TASKS: String(nodes! * each!),
      SLURM_STEP_TASKS_PER_NODE: `${each}(x${nodes})`,
      SLURM_STEP_NODELIST: 'node[01-02]',
    }),
  );
  expectOneRun(worlds, nodes!, each!);
});

test('Kubernetes: a process for each GPU of a pod', () => {
  const { apiVersion, kind, spec } = manifest();
  expect({ apiVersion, kind }).toEqual({ apiVersion: 'trainer.kubeflow.org/v1alpha1', kind: 'TrainJob' });
  const { command, numNodes, numProcPerNode, resourcesPerNode, image } = spec.trainer;
  expect(image).toEqual(expect.any(String));
  expect(command.every((word: unknown) => typeof word === 'string')).toBe(true);
  const processes = Number(after(command, '--processes'));
  expect(processes).toBe(numProcPerNode);
  expect(processes).toBe(resourcesPerNode.limits['nvidia.com/gpu']);
  const pods = ranks(numNodes).map((rank) => {
    const env = {
      PET_NNODES: String(numNodes),
      PET_NPROC_PER_NODE: String(numProcPerNode),
      PET_NODE_RANK: String(rank),
      PET_MASTER_ADDR: 'llama-node-0-0.llama',
      PET_MASTER_PORT: '29400',
    };
    expect(() => worldOf(env)).toThrow(/^PET_NPROC_PER_NODE is 8/);
    return worldOf(env, { processes });
  });
  expectOneRun(pods, numNodes, 1);
});

test('MPI: rank 0 is told to all', () => {
  const open = launched('mpirun').before;
  const [total, each] = [Number(after(open, '-n')), Number(/^ppr:(\d+):node$/.exec(after(open, '--map-by'))![1])];
  const told = Object.fromEntries(open.flatMap((word, i) => (word === '-x' ? [open[i + 1]!.split('=')] : [])));
  expect(Object.keys(told)).toEqual(['MASTER_ADDR', 'MASTER_PORT']);
  const worlds = ranks(total).map((rank) =>
    worldOf({
      ...told,
      OMPI_COMM_WORLD_RANK: String(rank),
      OMPI_COMM_WORLD_SIZE: String(total),
      OMPI_COMM_WORLD_LOCAL_RANK: String(rank % each),
      OMPI_COMM_WORLD_LOCAL_SIZE: String(each),
    }),
  );
  expectOneRun(worlds, total / each, each);
  expect(worlds[0]).toMatchObject({ host: told.MASTER_ADDR, port: Number(told.MASTER_PORT) });

  const mpich = launched('mpiexec').before;
  expect([after(mpich, '-n'), after(mpich, '-ppn')]).toEqual([String(total), String(each)]);
  const given = Object.fromEntries(mpich.flatMap((word, i) => (word === '-genv' ? [mpich.slice(i + 1, i + 3)] : [])));
  expect(given).toEqual(told);
});

test('anything else: the variables of the listing are a whole world', () => {
  const line = shells.find((text) => text.startsWith('RANK='))!;
  const env = Object.fromEntries([...line.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value!]));
  expect(worldOf(env)).toMatchObject({ rank: 1, size: 2, localRank: 0, localSize: 1, host: 'node1', port: 29500 });
});

test('the page names every variable that is read', () => {
  const source = readFileSync(join(repositoryRoot, 'packages/reanchor/src/launch/world.ts'), 'utf8');
  const names = [...source.matchAll(/'((?:[A-Z]+_)+[A-Z]+|RANK)'/g)].map(([, name]) => name!);
  expect(new Set(names).size).toBeGreaterThan(25);
  expect([...new Set(names)].filter((name) => !page.includes(`\`${name}`))).toEqual([]);
});
