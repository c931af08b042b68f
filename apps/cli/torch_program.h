// The commands and options that need LibTorch exist in both programs. edgellm, which never loads it, hands
// them over to edgellm-torch, the same commands with LibTorch in them, which stands beside it.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// Called once by main: the arguments that edgellm-torch is to get.
void keep_arguments_for_torch(char** argv);

// First line of a command that needs LibTorch, before anything is changed or said: the process may begin
// anew; `what` names it as the user wrote it ("'edgellm quantize
// --method gptq'"). Returns in a program that has LibTorch; otherwise edgellm-torch takes this process's
// place, or there is none and the Error says how to get it.
Status need_torch(std::string_view what);

// The program that runs models on a board: edgellm where it stands beside this one, else this one. LibTorch
// in a process would count in its memory.
std::filesystem::path program_without_torch();

}  // namespace edgellm
