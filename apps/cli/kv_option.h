// The option --kv of every command that runs a model.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace edgellm {

inline constexpr const char* kAutoKv = "auto";

// kv: its default, "auto" (kv_type_for() in runtime/graph/kv_cache.h) or a type.
inline void add_kv_option(CLI::App& command, std::string& kv) {
  command
      .add_option(
          "--kv", kv,
          "type of the KV cache: f16, q8_0 at about half its size, or auto: the one a fit made the file "
          "for, else f16")
      ->capture_default_str()
      ->check(CLI::IsMember({kAutoKv, "f16", "q8_0"}));
}

}  // namespace edgellm
