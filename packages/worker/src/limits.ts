/** Limits of what runs kernels. */

/** Heap of one thread or careful process, MiB: a kernel that needs more dies of it, and not the host. */
export const kernelHeapMebibytes = 512;

/** A job whose threads, or careful processes, die this often each before they begin is given up. */
export const deathsBeforeBeginLimit = 3;

/** Milliseconds before a thread is asked for again that the system did not give. */
export const startAgainMs = 500;

/** A chunk that has cost this many threads is run carefully. The first death blames nobody. */
export const threadDeathsPerChunk = 2;

/** Careful processes of one job at a time. */
export const carefulProcessesLimit = 4;

/** Voxels whose signals are sent to a careful process at a time. */
export const carefulBatchVoxels = 256;

/** Milliseconds that a thread has to let go of a job by itself; then it is ended. */
export const letGoMs = 50;

/** Milliseconds between two looks at threads that have not let go. */
export const letGoPollMs = 5;

/** Milliseconds between two looks at threads that may overrun a voxel's time-out: a quarter of it, within these. */
export const watchIntervalMs = { least: 10, most: 250 } as const;

/** A timer that goes off this many milliseconds late tells of a process that stood still, not of a slow voxel. */
export const lateTimerMs = 1_000;

/** A host keeps work for this many milliseconds in hand while it asks for more, and one chunk for each slot at least. */
export const askAheadMs = 200;

/** A shared file of signals may take this long to open, milliseconds; then its blocks come from the driver until it is. */
export const filePatienceMs = 2_000;

/** What reading a shared file may take of memory at most, and which part of the object memory. */
export const fileMemory = { bytesLimit: 64 << 20, share: 1 / 4 } as const;

/** Copies of blocks that a worker sends to others at a time: the head asks it for two, so more are never wanted for long. */
export const blockCopiesLimit = 4;
