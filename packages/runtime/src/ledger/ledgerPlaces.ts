/**
 * Where this user's ledgers are: they lie beside outputs all over the disk, and `status` and `gc` must find those
 * whose process died. Whoever looks strikes out what is gone.
 */
import { PlaceRegister } from "@fascicle/object-store";

const register = new PlaceRegister("ledger-places");

/** Notes where a ledger is. */
export const noteLedger = (path: string) => register.note(path);

/** The ledger is gone. */
export const forgetLedger = (path: string) => register.forget(path);

/** All that were noted and not forgotten, whether they are still there or not. */
export const notedLedgers = () => register.places().map(({ path }) => path);
