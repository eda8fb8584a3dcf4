import { ProcessGroup } from '@reanchor/torch';

/**
 * The processes of a run as a grid of two dimensions, as PyTorch's DeviceMesh has it: replicas of a model, each divided
 * among processes of its own (HSDP; Zhao et al. 2023, "PyTorch FSDP", arXiv 2304.11277, section 3.2.2). With one
 * replica, or one process for each, one of the dimensions is 1.
 *
 *     rank   0  1  2  3      replicas: 2
 *     shard  0  1 | 0  1     ranks 0 and 2 have the same part of the model
 */
export interface Mesh extends Disposable {
  /** All processes. */
  readonly world: ProcessGroup;
  /** Those that have a model between them, this one among them; ranks that follow each other: of one machine. */
  readonly shard: ProcessGroup;
  /** Those that have the same part of it, one of each replica. */
  readonly replicate: ProcessGroup;
}

/** Connects the processes of each replica, and those that have the same part. `replicas` has to divide the world. */
export async function openMesh(world: ProcessGroup, replicas: number): Promise<Mesh> {
  if (replicas === 1) {
    return { world, shard: world, replicate: ProcessGroup.alone(), [Symbol.dispose]: () => {} };
  }
  const size = world.world / replicas;
  if (!Number.isInteger(size)) throw new RangeError(`${world.world} processes cannot be ${replicas} replicas`);
  const ranks = Array.from({ length: world.world }, (_, rank) => rank);
  const replicaOf = (rank: number) => Math.floor(rank / size);
  const ofReplica = ranks.filter((rank) => replicaOf(rank) === replicaOf(world.rank));
  const ofPart = ranks.filter((rank) => rank % size === world.rank % size);
  const shard = await world.split(ofReplica, 'shard');
  const replicate = await world.split(ofPart, 'replicate');
  return {
    ...{ world, shard, replicate },
    [Symbol.dispose]() {
      for (const group of [replicate, shard]) group.close();
    },
  };
}
