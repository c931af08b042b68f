// Holds the sources to the one direction of includes that docs/architecture.md draws.
#include <gtest/gtest.h>
#include <regex>

#include "tests/architecture/source_tree.h"

namespace edgellm {
namespace {

// A room is a folder with its own rule. The longest name that fits a path is the path's room.
struct Room {
  std::string_view folder;
  std::vector<std::string_view> may_include;        // rooms, beside itself
  std::vector<std::string_view> tests_may_include;  // what its x_test.cpp and x_bench.cpp may include on top
};

const std::vector<Room>& rooms() {
  static const std::vector<std::string_view> kCore = {
      "core", "core/base", "core/blocks", "core/model_file", "core/text", "core/arch"};
  static const auto with_core = [](std::vector<std::string_view> more) {
    more.insert(more.end(), kCore.begin(), kCore.end());
    return more;
  };
  static const std::vector<std::string_view> kEverything = {"*"};
  static const std::vector<Room> kRooms = {
      {"core/base", {}, {}},
      {"core/blocks", {"core/base"}, {}},
      {"core/model_file", {"core/blocks", "core/base"}, {}},
      {"core/text", {"core/base"}, {"core/model_file"}},
      {"core/arch", {"core/base"}, {"core/model_file"}},
      {"core", {"core/base"}, {}},  // language_model.h
      {"runtime/kernels/generic", {"runtime/kernels", "core/blocks", "core/base"}, {}},
      {"runtime/kernels/avx2", {"runtime/kernels", "core/blocks", "core/base"}, {}},
      {"runtime/kernels/avx512", {"runtime/kernels", "core/blocks", "core/base"}, {}},
      {"runtime/kernels/neon", {"runtime/kernels", "core/blocks", "core/base"}, {}},
      // The dispatcher names the entry of every instruction set.
      {"runtime/kernels",
       {"runtime/kernels/generic", "runtime/kernels/avx2", "runtime/kernels/avx512", "runtime/kernels/neon",
        "core/blocks", "core/base"},
       {}},
      {"runtime/backends/cpu", with_core({"runtime/backends", "runtime/kernels"}), {}},
      {"runtime/backends/gpu", with_core({"runtime/backends"}), {}},
      {"runtime/backends/npu", with_core({"runtime/backends"}), {}},
      {"runtime/backends", with_core({"runtime/kernels"}), {}},
      {"runtime/graph",
       with_core({"runtime/backends", "runtime/backends/cpu", "runtime/backends/gpu", "runtime/backends/npu",
                  "runtime/kernels"}),
       {}},
      {"runtime/decode",
       with_core({"runtime/graph", "runtime/backends", "runtime/backends/cpu", "runtime/backends/gpu",
                  "runtime/backends/npu", "runtime/kernels"}),
       {}},
      {"compress/torch_model", kCore, {}},
      {"compress/calibrate", with_core({"compress/torch_model"}), {}},
      {"compress/quantize", with_core({"compress/calibrate", "compress/torch_model"}), {}},
      {"compress/prune", with_core({"compress/calibrate", "compress/torch_model"}), {}},
      {"compress/train", with_core({"compress/calibrate", "compress/torch_model"}), {}},
      {"compress/finetune", with_core({"compress/torch_model"}), {}},
      {"compress/distill", with_core({"compress/torch_model"}), {}},
      {"evaluate/sandbox", kCore, {}},
      {"evaluate/tasks", with_core({"evaluate", "evaluate/sandbox"}), {}},
      {"evaluate", kCore, {}},
      {"plan", kCore, {}},
      {"results", {"core", "core/base"}, {}},
      {"recipes", kEverything, {}},
      {"apps", kEverything, {}},
  };
  return kRooms;
}

const Room* room_of(std::string_view path) {
  const Room* found = nullptr;
  for (const Room& room : rooms()) {
    const bool inside =
        path.starts_with(room.folder) && path.size() > room.folder.size() && path[room.folder.size()] == '/';
    if (inside && (!found || room.folder.size() > found->folder.size())) found = &room;
  }
  return found;
}

bool is_test(std::string_view path) {
  return path.ends_with("_test.cpp") || path.ends_with("_bench.cpp");
}

// Empty, or why `file` may not include `included`.
std::string objection(std::string_view file, std::string_view included) {
  const Room* from = room_of(file);
  const Room* to = room_of(included);
  if (!from) return std::string(file) + " stands in no room that the design knows";
  if (!to)
    return std::string(file) + " includes " + std::string(included) +
           ", which stands in no room that the design knows";
  const auto allows = [&](const std::vector<std::string_view>& folders) {
    return std::find(folders.begin(), folders.end(), to->folder) != folders.end();
  };
  const bool to_top = to->folder == "apps" || to->folder == "recipes";
  const bool anything =
      !from->may_include.empty() && from->may_include[0] == "*" && (!to_top || from->folder == "apps");
  if (from == to || anything || allows(from->may_include)) return "";
  if (is_test(file) && allows(from->tests_may_include)) return "";
  return std::string(file) + " includes " + std::string(included) + ": " + std::string(from->folder) +
         " may not include " + std::string(to->folder);
}

// The paths that lines of the form #include "..." name.
std::vector<std::string> quoted_includes(const std::vector<std::string>& lines) {
  static const std::regex kInclude("^\\s*#\\s*include\\s*\"([^\"]+)\".*");
  std::vector<std::string> paths;
  std::smatch match;
  for (const std::string& line : lines) {
    if (std::regex_match(line, match, kInclude)) paths.push_back(match[1]);
  }
  return paths;
}

TEST(Includes, go_one_way_only) {
  const auto sources =
      read_sources({"core", "runtime", "compress", "evaluate", "plan", "results", "recipes", "apps"},
                   {".h", ".cpp", ".inc"});
  ASSERT_GT(sources.size(), 50u) << "no sources under " << source_root();
  for (const SourceFile& source : sources) {
    for (const std::string& included : quoted_includes(source.lines))
      EXPECT_EQ(objection(source.path, included), "");
  }
}

TEST(Includes, name_files_from_the_root_that_exist) {
  for (const SourceFile& source :
       read_sources({"core", "runtime", "compress", "evaluate", "plan", "results", "recipes", "apps"},
                    {".h", ".cpp"})) {
    for (const std::string& included : quoted_includes(source.lines)) {
      EXPECT_TRUE(std::filesystem::exists(source_root() / included))
          << source.path << " includes " << included;
    }
  }
}

TEST(IncludeRules, forbid_upward_and_sideward_edges) {
  const std::vector<std::pair<std::string, std::string>> forbidden = {
      {"core/base/result.h", "core/blocks/tensor_type.h"},
      {"core/blocks/q4_0.h", "core/model_file/gguf.h"},
      {"core/text/tokenizer.cpp", "core/model_file/gguf.h"},
      {"core/language_model.h", "core/arch/architecture.h"},
      {"core/arch/llama.cpp", "runtime/graph/decoder.h"},
      {"runtime/kernels/kernels.cpp", "runtime/graph/decoder.h"},
      {"runtime/kernels/avx2/dot.cpp", "runtime/kernels/avx512/dot.h"},
      {"runtime/kernels/generic/dot.cpp", "core/model_file/gguf.h"},
      {"runtime/backends/cpu/cpu.cpp", "runtime/backends/gpu/gpu.h"},
      {"runtime/backends/cpu/cpu.cpp", "runtime/kernels/avx2/dot.h"},
      {"runtime/backends/backend.h", "runtime/graph/decoder.h"},
      {"runtime/graph/decoder.cpp", "runtime/decode/session.h"},
      {"runtime/decode/session.cpp", "compress/quantize/gptq.h"},
      {"compress/quantize/gptq.cpp", "compress/prune/wanda.h"},
      {"compress/finetune/lora.cpp", "compress/calibrate/moments.h"},
      {"compress/torch_model/model.cpp", "runtime/graph/decoder.h"},
      {"evaluate/perplexity.cpp", "plan/plan.h"},
      {"evaluate/perplexity.cpp", "evaluate/tasks/task.h"},
      {"evaluate/sandbox/sandbox.cpp", "evaluate/rouge.h"},
      {"plan/plan.cpp", "evaluate/perplexity.h"},
      {"plan/plan.cpp", "recipes/fit.h"},
      {"recipes/fit.cpp", "apps/cli/command.h"},
      {"core/base/result.h", "somewhere/else.h"},
  };
  for (const auto& [file, included] : forbidden)
    EXPECT_NE(objection(file, included), "") << file << " -> " << included;
}

TEST(IncludeRules, allow_the_edges_of_the_design) {
  const std::vector<std::pair<std::string, std::string>> allowed = {
      {"core/model_file/gguf.h", "core/blocks/tensor_type.h"},
      {"core/text/tokenizer_test.cpp", "core/model_file/gguf.h"},
      {"core/language_model.h", "core/base/result.h"},
      {"runtime/kernels/avx2/dot.cpp", "runtime/kernels/kernels.h"},
      {"runtime/kernels/kernels.cpp", "runtime/kernels/avx2/entry.h"},
      {"runtime/graph/decoder.cpp", "runtime/backends/backend.h"},
      {"runtime/decode/session.h", "core/language_model.h"},
      {"compress/prune/wanda.cpp", "compress/calibrate/moments.h"},
      {"recipes/fit.cpp", "plan/plan.h"},
      {"apps/cli/fit_command.cpp", "recipes/fit.h"},
  };
  for (const auto& [file, included] : allowed) EXPECT_EQ(objection(file, included), "");
}

TEST(IncludeRules, are_found_in_the_text_of_a_file) {
  const std::vector<std::string> lines = {"#include <vector>", "#include \"a/b.h\"",
                                          "  #  include \"c/d.h\"  // why", "// #include \"e.h\"",
                                          "text = \"#include\";"};
  EXPECT_EQ(quoted_includes(lines), (std::vector<std::string>{"a/b.h", "c/d.h"}));
}

}  // namespace
}  // namespace edgellm
