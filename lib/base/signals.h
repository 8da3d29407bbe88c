// Signals of terminals and batch systems. Handlers only set a flag; long loops poll it.
#pragma once

namespace trainctl::signals {

/// SIGTERM, SIGINT, SIGUSR1, SIGUSR2 request a stop; the second of them ends the process at once with 128 + its number.
/// SIGHUP requests a save. SIGPIPE is ignored: a closed stdout is an error of the write, not the end of the run.
void install();

/// Whether a stop was requested. Cheap enough for every step.
bool stop_requested();
/// The signal that requested the stop; 0 if there was none.
int stop_signal();
/// For what is done when the state is saved already: while one lives, a stop signal after the first asks for hurry
/// instead of ending the process; the one after that ends it.
class Patience {
 public:
  Patience();
  ~Patience();
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;
  /// Whether a stop signal came since this object was made.
  bool hurried() const;
};
/// Whether a save was requested since the last call.
bool take_save_request();

/// Forgets requests and restores the default actions; for tests and for children of a fork.
void reset();

}  // namespace trainctl::signals
