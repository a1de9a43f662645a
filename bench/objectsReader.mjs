// A thread of objects.mjs: times how long it takes to have an object whose handle it holds.
import { parentPort } from "node:worker_threads";
import { ThreadObjects } from "@fascicle/object-store";

const getCount = 2000;
let objects;

parentPort.on("message", ({ port, handle }) => {
  if (port !== undefined) objects = new ThreadObjects(port);
  if (handle === undefined) return;
  const microseconds = [];
  for (let n = 0; n < getCount; n++) {
    const begunMs = performance.now();
    const data = objects.open(handle);
    if (data[n] !== n || data[data.length - 1] !== data.length - 1) throw new Error("wrong values");
    microseconds.push((performance.now() - begunMs) * 1000);
  }
  // Against the rules: so the other side sees that these are its bytes and no copy.
  objects.open(handle)[0] = -1;
  objects.close(handle);
  parentPort.postMessage(microseconds);
});
