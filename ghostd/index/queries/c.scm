; Definitions
(function_definition declarator: (function_declarator declarator: (identifier) @name.function)) @definition
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.function))) @definition
(function_definition declarator: (pointer_declarator declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.function)))) @definition
(declaration declarator: (function_declarator declarator: (identifier) @name.prototype)) @definition
(declaration declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.prototype))) @definition
(declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name.prototype)))) @definition
(declaration declarator: (identifier) @name.variable) @definition
(declaration declarator: (init_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (init_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (pointer_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (array_declarator declarator: (identifier) @name.variable)) @definition
(declaration declarator: (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (array_declarator declarator: (array_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable))) @definition
(declaration declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (array_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @name.variable)))) @definition
(declaration declarator: (init_declarator declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (identifier) @name.variable))))) @definition
(declaration declarator: (init_declarator declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (array_declarator declarator: (identifier) @name.variable)))))) @definition
(field_declaration declarator: (pointer_declarator declarator: (array_declarator declarator: (field_identifier) @name.field))) @definition
(field_declaration declarator: (array_declarator declarator: (array_declarator declarator: (field_identifier) @name.field))) @definition
(field_declaration declarator: (pointer_declarator declarator: (pointer_declarator declarator: (field_identifier) @name.field))) @definition
(struct_specifier name: (type_identifier) @name.struct body: (_)) @definition
(union_specifier name: (type_identifier) @name.union body: (_)) @definition
(enum_specifier name: (type_identifier) @name.enum body: (_)) @definition
(enumerator name: (identifier) @name.enum_member) @definition
(field_declaration declarator: (field_identifier) @name.field) @definition
(field_declaration declarator: (pointer_declarator declarator: (field_identifier) @name.field)) @definition
(field_declaration declarator: (array_declarator declarator: (field_identifier) @name.field)) @definition
(field_declaration declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (field_identifier) @name.field)))) @definition
(type_definition declarator: (type_identifier) @name.type) @definition
(type_definition declarator: (pointer_declarator declarator: (type_identifier) @name.type)) @definition
(type_definition declarator: (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (type_identifier) @name.type)))) @definition
(preproc_def name: (identifier) @name.macro) @definition
(preproc_function_def name: (identifier) @name.macro) @definition

; References
(identifier) @reference
(type_identifier) @reference
(field_identifier) @reference

; Imports
(preproc_include path: [(system_lib_string) (string_literal)] @import.module) @import
