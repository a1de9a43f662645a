/**
 * A thread of a careful process that waits for the end of stdin, which nobody writes to: it comes when the process at
 * the other end is gone, however that ended. Then this process ends too, whatever its kernel is doing.
 */
import { createReadStream } from "node:fs";

const end = () => process.kill(process.pid, "SIGKILL");
createReadStream("", { fd: 0 }).on("end", end).on("error", end).resume();
