#include "evaluate/tasks/python_answer.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

constexpr std::string_view kPrompt = "import math\n\ndef area(r):\n    \"\"\" Of a circle. \"\"\"\n";

// What is put behind the prompt.
std::string behind_prompt(std::string_view answer) {
  const std::string program = python_program(kPrompt, "area", answer);
  EXPECT_TRUE(program.starts_with(kPrompt));
  return program.substr(kPrompt.size());
}

const std::string kWhole = "    pass\n\ndef area(r):\n    return math.pi * r * r\n";

TEST(PythonAnswer, a_fenced_function_replaces_the_prompts) {
  const std::string function = "def area(r):\n    return math.pi * r * r\n";
  EXPECT_EQ(behind_prompt("Here it is:\n```python\n" + function + "```\nIt uses pi."), kWhole);
  EXPECT_EQ(behind_prompt("```\n" + function + "```"), kWhole);
  EXPECT_EQ(behind_prompt("```py\r\ndef area(r):\r\n    return math.pi * r * r\r\n```"), kWhole);
  EXPECT_EQ(behind_prompt("~~~python\n" + function + "~~~"), kWhole);
}

TEST(PythonAnswer, of_several_blocks_the_one_that_defines_the_function_counts) {
  EXPECT_EQ(
      behind_prompt("```bash\npip install x\n```\n```python\ndef area(r):\n    return math.pi * r * r\n```\n"
                    "```python\nprint(area(1))\n```"),
      kWhole);
}

TEST(PythonAnswer, an_open_fence_ends_with_the_answer) {
  EXPECT_EQ(behind_prompt("```python\ndef area(r):\n    return math.pi * r * r"), kWhole);
}

TEST(PythonAnswer, a_fence_in_a_list_gives_up_its_indentation) {
  EXPECT_EQ(
      behind_prompt("1. Do this:\n   ```python\n   def area(r):\n       return math.pi * r * r\n   ```"),
      kWhole);
}

TEST(PythonAnswer, bare_code_is_cut_out_of_prose) {
  EXPECT_EQ(behind_prompt(
                "Sure! Here is the function you asked for:\n\ndef area(r):\n    return math.pi * r * r\n\n"
                "This function multiplies pi by the square."),
            "    pass\n\n\ndef area(r):\n    return math.pi * r * r\n\n");
  EXPECT_EQ(behind_prompt("from math import pi\n\ndef area(r):\n    return pi * r * r"),
            "    pass\n\nfrom math import pi\n\ndef area(r):\n    return pi * r * r\n");
}

TEST(PythonAnswer, a_text_constant_before_bare_code_is_not_cut_open) {
  EXPECT_EQ(behind_prompt("X = \"\"\"\nwords\n\"\"\"\n\ndef area(r):\n    return 1"),
            "    pass\n\n\ndef area(r):\n    return 1\n");
}

TEST(PythonAnswer, a_continuation_follows_the_prompt) {
  EXPECT_EQ(behind_prompt("    x = r * r\n    return x\n"), "    x = r * r\n    return x\n");
  EXPECT_EQ(behind_prompt("\n    return 1\n\nThat is it."), "    return 1\n\n");
  EXPECT_EQ(behind_prompt("```python\n    return 1\n```"), "    return 1\n");
}

TEST(PythonAnswer, a_continuation_gets_its_indentation_back) {
  EXPECT_EQ(behind_prompt("return 1"), "    return 1\n");
  EXPECT_EQ(behind_prompt("x = r\n    return x"), "    x = r\n    return x\n");
  EXPECT_EQ(behind_prompt("for i in r:\n        x = i\n    return x"),
            "    for i in r:\n        x = i\n    return x\n");
  EXPECT_EQ(behind_prompt("for i in r:\n    x = i\nreturn x"),
            "    for i in r:\n        x = i\n    return x\n");
  EXPECT_EQ(behind_prompt("x = r\nreturn x"), "    x = r\n    return x\n");
}

TEST(PythonAnswer, an_empty_answer_leaves_the_prompt_alone) {
  EXPECT_EQ(behind_prompt(""), "");
  EXPECT_EQ(behind_prompt("\n \n"), "");
}

TEST(PythonAnswer, a_longer_name_is_not_the_function) {
  EXPECT_EQ(behind_prompt("    return area_of(r)\n\ndef area_of(r):\n    return 2\n"),
            "    return area_of(r)\n\ndef area_of(r):\n    return 2\n");
}

TEST(PythonAnswer, survives_long_lines_of_anything) {
  for (const char c : {'x', '(', '`', ' ', '\n', '=', ','}) {
    python_program(kPrompt, "area", std::string(200'000, c));
    python_program(kPrompt, "area", "def area(r):\n" + std::string(200'000, c));
  }
}

}  // namespace
}  // namespace edgellm
