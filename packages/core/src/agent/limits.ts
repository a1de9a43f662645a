/** A host asks for more when it has fewer chunks than this that no thread has begun, for each slot of the job. */
export const chunksAheadPerSlot = 2;
