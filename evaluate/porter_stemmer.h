// Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14.3, 1980) as NLTK's
// PorterStemmer runs it by default, which is what ROUGE's stemming means in practice. Beyond the paper:
// - a table of irregular forms (skies -> sky, dying -> die), and words of one or two letters stay;
// - -ies and -ied leave -ie in words of four letters (ties -> tie, died -> die), -ied else leaves -i;
// - y -> i only after a consonant that is not the word's first letter (fly -> fli, enjoy stays);
// - -alli is tried before the rest of step 2, which then goes over the result again; -bli -> -ble instead of
//   -abli -> -able; -fulli -> -ful; -logi -> -log, where the l counts with the stem;
// - a vowel and a consonant alone end as consonant, vowel, consonant do (using -> us -> use).
#pragma once

#include <string>
#include <string_view>

namespace edgellm {

// word: letters and digits; capital ASCII letters are lowered, every other byte stands as a consonant.
std::string porter_stem(std::string_view word);

}  // namespace edgellm
