#include "core/base/interrupt.h"

#include <csignal>

namespace edgellm {
namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int signal_number) {
  if (requested) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
  }
  requested = 1;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_requested() {
  return requested != 0;
}
void clear_interrupt() {
  requested = 0;
}
void request_interrupt() {
  requested = 1;
}

Status check_interrupt() {
  if (interrupt_requested()) return Error{"interrupted"};
  return {};
}

}  // namespace edgellm
