/**
 * A thread of a careful process that waits for the end of stdin, which nobody writes to: it comes when the process at
 * the other end is gone, however that ended. Then this process ends too, whatever its kernel is doing.
 */
import { Socket } from "node:net";

const end = () => process.kill(process.pid, "SIGKILL");
// As a socket and not as a file: a read of a file that is under way would keep the process from exiting by itself.
new Socket({ fd: 0, writable: false }).on("end", end).on("error", end).resume();
