; Definitions
(function_declaration name: (identifier) @name.function) @definition
(method_declaration name: (field_identifier) @name.method) @definition
(method_declaration receiver: (parameter_list (parameter_declaration type: (type_identifier) @container)))
(method_declaration receiver: (parameter_list (parameter_declaration type: (generic_type type: (type_identifier) @container))))
(method_declaration receiver: (parameter_list (parameter_declaration type: (pointer_type (type_identifier) @container))))
(method_declaration receiver: (parameter_list (parameter_declaration type: (pointer_type (generic_type type: (type_identifier) @container)))))
(type_spec name: (type_identifier) @name.struct type: (struct_type)) @definition
(type_spec name: (type_identifier) @name.interface type: (interface_type)) @definition
(type_spec name: (type_identifier) @name.type) @definition
(type_alias name: (type_identifier) @name.type) @definition
(field_declaration name: (field_identifier) @name.field) @definition
(method_elem name: (field_identifier) @name.method) @definition
(const_spec (identifier) @name.constant) @definition
(var_spec name: (identifier) @name.variable) @definition
(func_literal) @local

; References
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference
(package_identifier) @reference

; Imports
(import_spec path: (interpreted_string_literal) @import.module) @import
(import_spec path: (raw_string_literal) @import.module) @import
(import_spec name: (dot) @import.all)
