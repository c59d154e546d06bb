/**
 * The files inside the executable. From source they are the ones in dist/embed; the build of
 * another architecture takes that architecture's instead.
 */
import guessObject from "../dist/embed/guess.bpf.o" with { type: "file" };
import guessObject62 from "../dist/embed/guess_6_2.bpf.o" with { type: "file" };
import lookupObject from "../dist/embed/lookup.bpf.o" with { type: "file" };
import notice from "../dist/embed/notice.txt" with { type: "file" };
import shimLibrary from "../dist/embed/shim.so" with { type: "file" };
import traceObject from "../dist/embed/trace.bpf.o" with { type: "file" };
import traceObject510 from "../dist/embed/trace_5_10.bpf.o" with { type: "file" };
import traceObject62 from "../dist/embed/trace_6_2.bpf.o" with { type: "file" };

export {
  guessObject,
  guessObject62,
  lookupObject,
  notice,
  shimLibrary,
  traceObject,
  traceObject510,
  traceObject62,
};
