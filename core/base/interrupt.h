// Ctrl-C made safe: the first SIGINT or SIGTERM sets a flag that long work polls; a second one ends the
// process at once.
#pragma once

#include "core/base/result.h"

namespace edgellm {

// Called once by a program that wants this behaviour; a library never does.
void install_interrupt_handler();
bool interrupt_requested();
// For a program that goes on after an interrupt (a chat), and for tests.
void clear_interrupt();
void request_interrupt();

// Status form for loops: an Error "interrupted" once asked to stop.
Status check_interrupt();

}  // namespace edgellm
