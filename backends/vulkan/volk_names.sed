# volk_names.sed: preprocessed volk.h -> a #define a name, giving it the library's prefix.
s/^ *extern PFN_vk[A-Za-z0-9]* *\(vk[A-Za-z0-9]*\);.*/#define \1 actc_\1/p
s/^[A-Za-z][A-Za-z0-9_]* \(volk[A-Z][A-Za-z0-9]*\)(.*/#define \1 actc_\1/p
